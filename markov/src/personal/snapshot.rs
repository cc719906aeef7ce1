//! A personal model as bytes.
//!
//! Little endian: `FTPM`, version u32, CRC-32 u32 of the rest; then max_bytes u64, words learned u64, messages ended u32;
//! the number of words u32, each a length u8, its bytes and its count u32, or a length of 0 for an id that is free; the
//! number of places in the text u32, each the id of its word u16.

use super::vocabulary::{MAX_SURFACE, NONE, Vocabulary, is_start};
use super::{Limits, PersonalModel};
use crate::Error;
use crate::input::Input;

const MAGIC: &[u8; 4] = b"FTPM";
const VERSION: u32 = 2;
const HEADER: usize = 12;

impl PersonalModel {
    /// The whole model; the same messages in the same order give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content_bytes() / 2);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.limits.max_bytes as u64).to_le_bytes());
        out.extend_from_slice(&self.words_learned.to_le_bytes());
        out.extend_from_slice(&self.vocabulary.ends().to_le_bytes());
        let ids = self.vocabulary.ids();
        out.extend_from_slice(&(ids.len() as u32).to_le_bytes());
        for id in ids {
            let surface = self.vocabulary.surface(id).as_bytes();
            out.push(surface.len() as u8);
            if !surface.is_empty() {
                out.extend_from_slice(surface);
                out.extend_from_slice(&self.vocabulary.count(id).to_le_bytes());
            }
        }
        out.extend_from_slice(&(self.text.len() as u32).to_le_bytes());
        self.text.words().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
        let crc = crc32fast::hash(&out[HEADER..]);
        out[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. The model then learns on exactly as the saved one would have.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if anything about the bytes is not as it must be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut input = Input(bytes);
        if input.take(4)? != MAGIC {
            return Err(Error::Snapshot("it does not begin with FTPM"));
        }
        if input.u32()? != VERSION {
            return Err(Error::Snapshot("it is of another version"));
        }
        if input.u32()? != crc32fast::hash(input.0) {
            return Err(Error::Snapshot("its checksum does not match"));
        }
        let max_bytes =
            usize::try_from(input.u64()?).map_err(|_| Error::Snapshot("its limit is too large"))?;
        let mut model = Self::new(Limits { max_bytes });
        model.words_learned = input.u64()?;
        input.vocabulary(&mut model.vocabulary)?;
        input.text(&mut model)?;
        model.vocabulary.restored();
        if input.0.is_empty() { Ok(model) } else { Err(Error::Snapshot("it goes on after its end")) }
    }
}

impl Input<'_> {
    fn vocabulary(&mut self, vocabulary: &mut Vocabulary) -> Result<(), Error> {
        vocabulary.restore_ends(self.u32()?);
        for _ in 0..self.u32()? {
            let len = usize::from(self.u8()?);
            let surface =
                std::str::from_utf8(self.take(len)?).map_err(|_| Error::Snapshot("a word is not UTF-8"))?;
            let count = if len == 0 { 0 } else { self.u32()? };
            if len > MAX_SURFACE || len > 0 && count == 0 {
                return Err(Error::Snapshot("a word is too long or was never seen"));
            }
            if vocabulary.restore(surface, count).is_none() {
                return Err(Error::Snapshot("a word occurs twice, or there are too many"));
            }
        }
        Ok(())
    }

    fn text(&mut self, model: &mut PersonalModel) -> Result<(), Error> {
        let PersonalModel { text, vocabulary, .. } = model;
        for _ in 0..self.u32()? {
            let id = self.u16()?;
            if id == NONE {
                text.push(NONE, 0);
            } else if is_start(id) || vocabulary.is_word(id) {
                if text.is_full() || !vocabulary.restore_place(id, text.push(id, vocabulary.last(id))) {
                    return Err(Error::Snapshot(
                        "a word has more places than sightings, or all have too many",
                    ));
                }
            } else {
                return Err(Error::Snapshot("a place has no word"));
            }
        }
        Ok(())
    }
}
