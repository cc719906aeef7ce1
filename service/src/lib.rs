//! Foretype: autocomplete for people who write all day, as one HTTP service.

pub mod admin;
pub mod answers;
pub mod app;
pub mod build;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod door;
pub mod engine;
pub mod ensemble;
pub mod error;
pub mod http;
pub mod inference;
pub mod lsp;
pub mod metrics;
pub mod predictors;
pub mod privacy;
pub mod serve;
pub mod server;
pub mod session;
pub mod store;
pub mod stream;
pub mod terminal;
pub mod wire;
pub mod writer;
