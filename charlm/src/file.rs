//! The envelope both files share: magic, version, checksum, length, body.
//!
//! ```text
//! 0   8  magic          16  8  length of the body
//! 8   4  version        24  8  zero
//! 12  4  CRC-32 of everything from byte 16 on
//! 32  …  body, so it is aligned for u32 whenever the file is mapped
//! ```
//! Numbers are little-endian.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    path::Path,
    sync::Arc,
};

use memmap2::Mmap;

use crate::{Error, map};

// The tables are read in place; nobody we know of serves text from a big-endian machine.
#[cfg(target_endian = "big")]
compile_error!("foretype-charlm reads its tables in place and needs a little-endian machine");

const HEADER: usize = 32;
const CHECKED_FROM: usize = 16;

/// What a file says it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    /// As an error message calls it.
    pub(crate) name: &'static str,
}

/// A part of a mapped file, cheap to clone; the map lives as long as any part of it.
#[derive(Debug, Clone)]
pub(crate) struct Bytes {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl Bytes {
    /// The bytes `range` of this part; `None` if it is not that long.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Self> {
        self.as_ref().get(range.clone())?;
        let start = self.range.start;
        Some(Self { map: Arc::clone(&self.map), range: start + range.start..start + range.end })
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

/// Maps a file and returns its body once magic, version, length and checksum are right.
pub(crate) fn open(path: &Path, kind: Kind) -> Result<Bytes, Error> {
    let map = map::map(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let field = |at: usize| map.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    if map.len() < HEADER {
        return Err(Error::corrupt(path, format!("{} bytes are too few for a {}", map.len(), kind.name)));
    }
    if map[..8] != kind.magic {
        return Err(Error::corrupt(path, format!("it does not start like a {}", kind.name)));
    }
    if field(8) != Some(kind.version) {
        let found = field(8).unwrap_or_default();
        return Err(Error::corrupt(
            path,
            format!("{} version {found}, this program reads {}", kind.name, kind.version),
        ));
    }
    if field(12) != Some(crc32fast::hash(&map[CHECKED_FROM..])) {
        return Err(Error::corrupt(path, "its checksum does not match: the file is damaged or incomplete"));
    }
    if map[16..24] != ((map.len() - HEADER) as u64).to_le_bytes() {
        return Err(Error::corrupt(path, "its length is not the one it states"));
    }
    let range = HEADER..map.len();
    Ok(Bytes { map: Arc::new(map), range })
}

/// Writes a body in its envelope: to a neighbour first, then renamed, so that nobody ever maps half a file.
pub(crate) fn write(path: &Path, kind: Kind, body: &[u8]) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        let mut checked = Vec::with_capacity(HEADER - CHECKED_FROM + body.len());
        checked.extend_from_slice(&(body.len() as u64).to_le_bytes());
        checked.extend_from_slice(&[0; 8]);
        checked.extend_from_slice(body);
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".part");
        let part = path.with_file_name(name);
        let mut file = File::create(&part)?;
        file.write_all(&kind.magic)?;
        file.write_all(&kind.version.to_le_bytes())?;
        file.write_all(&crc32fast::hash(&checked).to_le_bytes())?;
        file.write_all(&checked)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    attempt().map_err(|source| Error::Write { path: path.to_owned(), source })
}
