//! The typing simulator and the load generator.
//!
//! [`typist`] is a simulated writer that says what suggestions are worth in keystrokes; [`load`] makes many writers type
//! at a constant rate and says how long their answers took; [`quality`] types against the models in process ([`desk`])
//! and says what they save, [`wrong`] where the keys go that they do not,
//! [`ablation`] what each part is worth, [`curve`] what it is worth to be known.

pub mod ablation;
pub mod client;
pub mod corpus;
pub mod curve;
pub mod desk;
pub mod load;
pub mod quality;
pub mod report;
pub mod results;
pub mod score;
pub mod typist;
pub mod wrong;
