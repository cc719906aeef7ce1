//! What can go wrong when a model is read or written.

use std::path::PathBuf;

/// Reading or writing a model failed; the message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read or written.
    #[error("cannot access the n-gram model {}: {source}; check that the path exists and may be accessed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not an n-gram model of this version, or it is damaged.
    #[error("{} is not a usable n-gram model: {reason}; restore it from the bundle or run `foretype build` again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong with it.
        reason: &'static str,
    },
    /// The bytes are not a snapshot of a personal or team model of this version, or they are damaged.
    #[error("not a usable model: {0}; drop this snapshot and learn the messages again")]
    Snapshot(&'static str),
    /// The corpus holds nothing to learn from.
    #[error("the corpus holds no word that occurs twice; give the builder more text")]
    EmptyCorpus,
}
