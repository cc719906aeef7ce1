//! Word segmentation and n-gram models, built from a corpus or learned online.
//!
//! Everything here is about *surfaces*, the unit [`segment`] cuts text into. Two models give probabilities to the next
//! one: [`PersonalModel`] learns message by message within a fixed number of bytes, [`StaticModel`] is one file that a
//! [`Builder`] makes of a corpus. Both speak [`NextWord`].

mod builder;
mod error;
mod layout;
mod next_word;
mod personal;
pub mod segment;
mod static_model;

pub use builder::{BuildOptions, Builder, Stats};
pub use error::Error;
pub use next_word::{Event, Matched, NextWord, Role, Score};
pub use personal::{Conversation, Limits, PersonalHistory, PersonalModel, Recall};
pub use static_model::{StaticHistory, StaticModel};
