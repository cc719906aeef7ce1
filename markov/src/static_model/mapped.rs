//! A file mapped into memory.

use std::fs::File;
use std::path::Path;

/// Maps the file at `path` for reading.
///
/// # Safety
/// Mapping is sound as long as nobody changes the file meanwhile. Models are never changed in place: the builder renames
/// a new file over the old one, which leaves the mapped one as it was.
#[allow(unsafe_code)]
pub(super) fn map(path: &Path) -> std::io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    // SAFETY: see above; the file is opened for reading, and replaced only as a whole.
    unsafe { memmap2::Mmap::map(&file) }
}
