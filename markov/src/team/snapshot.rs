//! A team's model as bytes.
//!
//! Little endian: `FTTM`, version u32, CRC-32 u32 of the rest; then max_bytes u64, writers needed u8, messages learned
//! u32; the number of writers u32 and their numbers u32, rising; the number of words u32, each a length u8 and its
//! bytes; the number of published n-grams u32, contexts first, each its key u64, its word, its context, its rounds and
//! its last message, u32 each; the number of buckets u32; the number of uses in rounds that are not full u32, each its
//! key u64, its writer and its last message, u32 each.

use super::published::{Gram, Published};
use super::rounds::Use;
use super::{TeamLimits, TeamModel};
use crate::Error;
use crate::input::Input;

const MAGIC: &[u8; 4] = b"FTTM";
const VERSION: u32 = 1;
const HEADER: usize = 12;

impl TeamModel {
    /// The whole model; the same calls in the same order give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.limits.max_bytes as u64).to_le_bytes());
        out.push(self.limits.writers_needed);
        let mut put =
            |numbers: &[u32]| numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        put(&[self.now, self.writers.len() as u32]);
        put(&self.writers);
        put(&[self.words() as u32]);
        for surface in self.published.words().surfaces() {
            out.push(surface.len() as u8);
            out.extend_from_slice(surface.as_bytes());
        }
        let grams = &self.published.grams()[1..];
        out.extend_from_slice(&(grams.len() as u32).to_le_bytes());
        for gram in grams {
            out.extend_from_slice(&gram.key.to_le_bytes());
            for number in [gram.word, gram.context, gram.rounds, gram.seen] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let (buckets, uses) = self.rounds.saved();
        let uses: Vec<&Use> = uses.collect();
        out.extend_from_slice(&(buckets as u32).to_le_bytes());
        out.extend_from_slice(&(uses.len() as u32).to_le_bytes());
        for one in uses {
            out.extend_from_slice(&one.key.to_le_bytes());
            out.extend_from_slice(&one.writer.to_le_bytes());
            out.extend_from_slice(&one.seen.to_le_bytes());
        }
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
            return Err(Error::Snapshot("it does not begin with FTTM"));
        }
        if input.u32()? != VERSION {
            return Err(Error::Snapshot("it is of another version"));
        }
        if input.u32()? != crc32fast::hash(input.0) {
            return Err(Error::Snapshot("its checksum does not match"));
        }
        let max_bytes =
            usize::try_from(input.u64()?).map_err(|_| Error::Snapshot("its limit is too large"))?;
        let mut model = Self::new(TeamLimits { max_bytes, writers_needed: input.u8()? });
        model.now = input.u32()?;
        model.writers = input.all(Input::u32)?;
        if model.writers.len() > model.most_writers() || !model.writers.is_sorted_by(|a, b| a < b) {
            return Err(Error::Snapshot("its writers are not sorted, or too many"));
        }
        let surfaces = input.all(Input::surface)?;
        let mut grams = model.published.grams().to_vec();
        grams.extend(input.all(Input::gram)?);
        model.published =
            Published::restore(&grams, &surfaces).ok_or(Error::Snapshot("a published n-gram cannot be"))?;
        let buckets = input.u32()? as usize;
        let uses = input.all(Input::one_use)?;
        model.rounds.restore(buckets, &uses).ok_or(Error::Snapshot("a round cannot be"))?;
        if input.0.is_empty() { Ok(model) } else { Err(Error::Snapshot("it goes on after its end")) }
    }
}

impl<'a> Input<'a> {
    /// As many as the number before them says.
    fn all<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        (0..self.u32()?).map(|_| one(self)).collect()
    }

    fn surface(&mut self) -> Result<&'a str, Error> {
        let len = self.u8()?.into();
        std::str::from_utf8(self.take(len)?).map_err(|_| Error::Snapshot("a word is not UTF-8"))
    }

    fn gram(&mut self) -> Result<Gram, Error> {
        let key = self.u64()?;
        Ok(Gram { key, word: self.u32()?, context: self.u32()?, rounds: self.u32()?, seen: self.u32()? })
    }

    fn one_use(&mut self) -> Result<Use, Error> {
        Ok(Use { key: self.u64()?, writer: self.u32()?, seen: self.u32()? })
    }
}
