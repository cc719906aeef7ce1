//! The typing simulator, in process and as load.
//!
//! [`typist`] is a simulated writer that says what suggestions are worth in keystrokes. [`quality`] lets them type against the
//! models in process ([`desk`]) and says what is saved, [`wrong`] where the keys go that are not, [`ablation`] what each part is
//! worth, [`curve`] what it is worth to be known. [`crowd`] lets many type against a running service at the rhythm of people
//! ([`rhythm`]) and says how long answers took and what was saved then, [`capacity`] how many may be too many.

pub mod ablation;
pub mod capacity;
pub mod client;
pub mod corpus;
pub mod crowd;
pub mod curve;
pub mod desk;
mod line;
mod origin;
pub mod pacer;
mod picture;
mod plot;
pub mod process;
pub mod quality;
pub mod report;
pub mod results;
pub mod rhythm;
pub mod score;
mod tally;
pub mod typist;
mod writer;
pub mod wrong;
