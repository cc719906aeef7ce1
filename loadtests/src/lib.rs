//! The typing simulator and the load generator.
//!
//! [`typist`] is a simulated writer that says what suggestions are worth in keystrokes; [`load`] makes many writers type
//! at a constant rate and says how long their answers took; [`quality`] types against the models in process and says
//! what they save.

pub mod client;
pub mod corpus;
pub mod load;
pub mod quality;
pub mod report;
pub mod score;
pub mod typist;
