//! Writes a [`Lexicon`](crate::Lexicon).

use std::path::Path;

use fst::MapBuilder;
use hashbrown::HashMap;

use crate::{
    Error, file,
    lexicon::{KIND, STEPS, SUGGESTIBLE},
    suggestible,
};

/// Counts surfaces and writes them as a lexicon.
#[derive(Debug)]
pub struct LexiconBuilder {
    counts: HashMap<String, u64>,
    least: u64,
}

impl Default for LexiconBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LexiconBuilder {
    /// A builder that lists what was seen at least twice: once may be a slip of the keyboard.
    pub fn new() -> Self {
        Self { counts: HashMap::new(), least: 2 }
    }

    /// Lists only what was seen at least `least` times.
    #[must_use]
    pub fn at_least(self, least: u64) -> Self {
        Self { least, ..self }
    }

    /// Adds `count` sightings of a surface; the same surface may come many times, the empty one is ignored.
    pub fn add(&mut self, surface: &str, count: u64) {
        if !surface.is_empty() {
            let sum = self.counts.entry_ref(surface).or_insert(0);
            *sum = sum.saturating_add(count);
        }
    }

    /// Writes the lexicon to `path`, replacing what is there.
    ///
    /// # Errors
    /// [`Error::Empty`] if no surface was seen often enough, [`Error::Write`] if the file cannot be written.
    pub fn finish(self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let least = self.least.max(1);
        let mut listed: Vec<(String, u64)> =
            self.counts.into_iter().filter(|&(_, count)| count >= least).collect();
        if listed.is_empty() {
            return Err(Error::Empty {
                path: path.to_owned(),
                reason: "add surfaces that occur at least twice",
            });
        }
        listed.sort_unstable();
        let unsorted = |_| Error::corrupt(path, "it could not be laid out");
        let mut fst = MapBuilder::memory();
        let mut body = Vec::new();
        body.extend_from_slice(&(listed.len() as u32).to_le_bytes());
        body.extend_from_slice(&[0; 4]);
        for (number, (surface, count)) in listed.iter().enumerate() {
            fst.insert(surface, number as u64).map_err(unsorted)?;
            body.extend_from_slice(&weight(surface, *count).to_le_bytes());
        }
        body.extend_from_slice(&fst.into_inner().map_err(unsorted)?);
        file::write(path, KIND, &body)
    }
}

fn weight(surface: &str, count: u64) -> u16 {
    let log = ((count as f64).log2() * STEPS).round().min(f64::from(SUGGESTIBLE - 1)) as u16;
    if suggestible(surface) { log | SUGGESTIBLE } else { log }
}
