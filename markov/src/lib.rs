//! Word segmentation and n-gram models, built from a corpus or learned online.

pub mod segment;
