//! The one place with `unsafe`: mapping a file into memory.
#![allow(unsafe_code)]

use std::{fs::File, io, path::Path};

use memmap2::Mmap;

/// Maps a whole file, read-only.
///
/// # Safety
///
/// `Mmap::map` is unsafe because another process could change the file underneath. Bundle files are replaced, never
/// edited: [`crate::file::write`] renames a finished file into place, so an open map keeps the old, complete one.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: files of a bundle are only ever replaced by renaming, as said above.
    unsafe { Mmap::map(&file) }
}
