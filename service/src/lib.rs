//! Foretype: autocomplete for people who write all day, as one HTTP service.

pub mod admin;
pub mod answers;
pub mod app;
pub mod clock;
pub mod engine;
pub mod ensemble;
pub mod error;
pub mod http;
pub mod metrics;
pub mod privacy;
pub mod server;
pub mod store;
pub mod wire;
pub mod writer;
