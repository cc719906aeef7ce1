//! What can go wrong while files are written or opened; the messages say what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a lexicon or a character model could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read: most often it is not there.
    #[error(
        "cannot read {path}: {source}; build it with `foretype build`, or point --bundle at a complete bundle"
    )]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {path}: {source}; check that the folder exists, is writable and has space left")]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes are not a file of this kind and version, or they were damaged.
    #[error("{path} is not usable: {reason}; fetch the bundle again or rebuild it with `foretype build`")]
    Corrupt {
        /// The file that was read.
        path: PathBuf,
        /// What was found wrong, in words.
        reason: String,
    },
    /// A builder was finished without any word it could keep.
    #[error("no words for {path}: {reason}")]
    Empty {
        /// The file that was to be written.
        path: PathBuf,
        /// What was missing, and how to supply it.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), reason: reason.into() }
    }
}
