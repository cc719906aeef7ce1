//! Word segmentation and n-gram models, built from a corpus or learned online.
//!
//! Everything here is about *surfaces*, the unit [`segment`] cuts text into. Three models give probabilities to the next
//! one: [`PersonalModel`] learns what one writer writes, message by message within a fixed number of bytes, [`TeamModel`]
//! what several writers share, and [`StaticModel`] is one file that a [`Builder`] makes of a corpus. All speak [`NextWord`].

mod builder;
mod error;
mod input;
mod layout;
mod next_word;
mod personal;
pub mod segment;
mod static_model;
mod team;

pub use builder::{BuildOptions, Builder, Stats};
pub use error::Error;
pub use next_word::{Event, Matched, NextWord, Role, Score};
pub use personal::{Conversation, Limits, PersonalHistory, PersonalModel, Recall};
pub use static_model::{StaticHistory, StaticModel};
pub use team::{TeamHistory, TeamLimits, TeamModel};
