//! Lexicon and character n-gram: words by their spelling, listed or not.
//!
//! The unit is the **surface**: a word with the single space before it, when there is one (`" for"`, `","`).
//! [`Spelling`] is what the service asks. It gives every string a probability,
//!
//! ```text
//! P(w) = λ · P_lexicon(w) + (1 − λ) · P_chars(w)
//! ```
//!
//! where [`Lexicon`] knows the words of a corpus by their counts and [`CharNgram`] spells any string whatever.
//! Both are immutable, memory-mapped files, written once by [`LexiconBuilder`] and [`CharBuilder`].
//! Opening may fail; asking never does.

mod adapted;
mod casing;
mod channel;
mod char_builder;
mod char_ngram;
mod complete;
mod correct;
mod delta;
mod error;
mod estimate;
mod file;
mod lambda;
mod lexicon;
mod lexicon_builder;
mod map;
mod memo;
mod misspelt;
mod slips;
mod spelling;
mod suggestible;
mod tables;

pub use adapted::{Adapted, AdaptedChars};
pub use char_builder::CharBuilder;
pub use char_ngram::{CharNgram, NextChars};
pub use correct::{Correction, LIKELIEST_SLIP};
pub use delta::Delta;
pub use error::Error;
pub use lexicon::Lexicon;
pub use lexicon_builder::LexiconBuilder;
pub use misspelt::is_misspelt;
pub use slips::Slips;
pub use spelling::Spelling;
pub use suggestible::suggestible;
