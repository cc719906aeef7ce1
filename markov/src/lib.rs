//! Word segmentation and n-gram models, built from a corpus or learned online.
//!
//! Everything here is about *surfaces*, the unit [`segment`] cuts text into. Two models give probabilities to the next
//! one: [`PersonalModel`] learns message by message within a fixed number of bytes. Both speak [`NextWord`].

mod error;
mod next_word;
mod personal;
pub mod segment;

pub use error::Error;
pub use next_word::{Event, Matched, NextWord, ORDER, Role, Score};
pub use personal::{Limits, PersonalHistory, PersonalModel};
