//! The typing simulator and the load generator.
//!
//! [`typist`] is a simulated writer that says what suggestions are worth in keystrokes; [`load`] makes many writers type
//! at a constant rate and says how long their answers took.

pub mod client;
pub mod corpus;
pub mod load;
pub mod report;
pub mod typist;
