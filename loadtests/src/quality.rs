//! What suggestions save: the figures of the evaluation kit's measure.py, typed in process.

use anyhow::Result;

use crate::corpus::Stream;
use crate::desk::{Setup, type_streams};
use crate::score::{Figures, Score};

/// Types every stream; the figures of all of them together.
///
/// # Errors
/// When the models cannot be opened or a request is refused.
pub fn run(setup: &Setup, streams: &[Stream]) -> Result<Figures> {
    let mut total = Score::default();
    for (score, ()) in type_streams(setup, streams)? {
        total.add(score);
    }
    Ok(total.figures())
}
