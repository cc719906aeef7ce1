//! A personal model as bytes.
//!
//! Little endian: `FTPM`, version u32, CRC-32 u32 of the rest; then max_bytes u64, words learned u64, the tally of the
//! end u32; the number of words u32, each a length u8, its bytes and its tally u32; the number
//! of contexts u32, each three ids u16, the number of followers u8 and a u32 for each, contexts in order of their ids. A
//! tally's highest bit, and a follower's lowest, says that it is fresh.

use super::contexts::{Contexts, Follower, MAX_FOLLOWERS};
use super::vocabulary::{END, FIRST_WORD, MAX_SURFACE, NONE, Vocabulary, WordId};
use super::{Limits, PersonalModel};
use crate::Error;

const MAGIC: &[u8; 4] = b"FTPM";
const VERSION: u32 = 1;
const HEADER: usize = 12;
const FRESH: u32 = 1 << 31;

impl PersonalModel {
    /// The whole model; the same messages in the same order give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.content_bytes());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.limits.max_bytes as u64).to_le_bytes());
        out.extend_from_slice(&self.words_learned.to_le_bytes());
        let tally = |id| self.vocabulary.count(id) | if self.vocabulary.is_fresh(id) { FRESH } else { 0 };
        out.extend_from_slice(&tally(END).to_le_bytes());
        out.extend_from_slice(&(self.vocabulary.ids().len() as u32).to_le_bytes());
        for id in self.vocabulary.ids() {
            let surface = self.vocabulary.surface(id).as_bytes();
            out.push(surface.len() as u8);
            out.extend_from_slice(surface);
            out.extend_from_slice(&tally(id).to_le_bytes());
        }
        let mut contexts: Vec<_> = self.contexts.iter().collect();
        contexts.sort_unstable_by_key(|&(key, _)| key);
        out.extend_from_slice(&(contexts.len() as u32).to_le_bytes());
        for (key, list) in &contexts {
            key.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
            let followers = self.contexts.followers(list);
            out.push(followers.len() as u8);
            followers.for_each(|follower| out.extend_from_slice(&follower.bits().to_le_bytes()));
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
        input.contexts(&mut model.contexts, model.vocabulary.len())?;
        if input.0.is_empty() { Ok(model) } else { Err(Error::Snapshot("it goes on after its end")) }
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Error::Snapshot("it is cut short"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Error::Snapshot("it is cut short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn vocabulary(&mut self, vocabulary: &mut Vocabulary) -> Result<(), Error> {
        let tally = self.u32()?;
        vocabulary.set(END, tally & !FRESH, tally & FRESH != 0);
        for number in 0..self.u32()? {
            let len = usize::from(self.u8()?);
            let surface =
                std::str::from_utf8(self.take(len)?).map_err(|_| Error::Snapshot("a word is not UTF-8"))?;
            let tally = self.u32()?;
            if len == 0 || len > MAX_SURFACE || tally & !FRESH == 0 {
                return Err(Error::Snapshot("a word is empty, too long or was never seen"));
            }
            // A word that is there already, or one too many, does not get the next id.
            let id = vocabulary.intern(surface);
            if id == NONE || u32::from(id) != number + u32::from(FIRST_WORD) {
                return Err(Error::Snapshot("a word occurs twice, or there are too many"));
            }
            vocabulary.set(id, tally & !FRESH, tally & FRESH != 0);
        }
        Ok(())
    }

    fn contexts(&mut self, contexts: &mut Contexts, ids: usize) -> Result<(), Error> {
        let known = |id: WordId| usize::from(id) < ids;
        let mut last = None;
        for _ in 0..self.u32()? {
            let key = [self.u16()?, self.u16()?, self.u16()?];
            let words = key.iter().skip_while(|&&id| id == NONE);
            if !known(key[2]) || !words.clone().all(|&id| known(id)) || last.is_some_and(|last| key <= last) {
                return Err(Error::Snapshot("a context is out of order or of unknown words"));
            }
            last = Some(key);
            let len = usize::from(self.u8()?);
            if len == 0 || len > MAX_FOLLOWERS {
                return Err(Error::Snapshot("a context has no follower, or too many"));
            }
            let mut followers = Vec::with_capacity(len);
            for _ in 0..len {
                followers.push(Follower::from_bits(self.u32()?));
            }
            let mut words: Vec<WordId> = followers.iter().map(|follower| follower.word()).collect();
            words.sort_unstable();
            let starts = 1..FIRST_WORD;
            let valid = |&id: &WordId| known(id) && !starts.contains(&id);
            if !words.iter().all(valid)
                || words.windows(2).any(|pair| pair[0] == pair[1])
                || followers.iter().any(|follower| follower.count() == 0)
            {
                return Err(Error::Snapshot("a follower is unknown, double or was never seen"));
            }
            contexts.insert(key, followers.into_iter());
        }
        Ok(())
    }
}
