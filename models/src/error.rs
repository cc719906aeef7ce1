//! What can go wrong while loading. Predicting never fails.

use std::path::PathBuf;

/// Why the model or the library could not be loaded, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No library where one is looked for.
    #[error(
        "no ONNX Runtime library ({name}) found in {searched}: run `make build`, or set ORT_DYLIB_PATH to the library"
    )]
    RuntimeMissing {
        /// The file name looked for on this platform.
        name: &'static str,
        /// The folders that were searched, for the reader.
        searched: String,
    },
    /// A file that is not a usable library.
    #[error(
        "{path} is not a usable ONNX Runtime library ({reason}): run `make build` to fetch ONNX Runtime {wanted}, or point ORT_DYLIB_PATH at one"
    )]
    RuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
        /// The release this crate is measured with.
        wanted: &'static str,
    },
    /// The session was asked for before [`load_runtime`](crate::load_runtime).
    #[error("ONNX Runtime is not loaded: call load_runtime before loading a model")]
    RuntimeNotLoaded,
    /// A file of the bundle cannot be read or does not say what it should.
    #[error("{path}: {reason}; restore the file from a release of the bundle")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX Runtime refused something while a session was set up.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
}

impl<T> From<ort::Error<T>> for Error {
    fn from(error: ort::Error<T>) -> Self {
        Self::Runtime(error.to_string())
    }
}
