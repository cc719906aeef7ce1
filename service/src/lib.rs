//! Foretype: autocomplete for people who write all day, as one HTTP service.

pub mod clock;
pub mod engine;
pub mod ensemble;
pub mod privacy;
pub mod store;
pub mod writer;
