//! A vocabulary as a snapshot has it.

use super::{END, LISTS, NONE, Vocabulary, WordId, is_start};

impl Vocabulary {
    /// Adds an id as a snapshot has it: a word with its count, or a free one.
    ///
    /// Ids come in order. `None`: the word is there already, or is too long, or there are too many.
    pub(in super::super) fn restore(&mut self, surface: &str, count: u32) -> Option<WordId> {
        if surface.is_empty() {
            let id = self.append()?;
            self.free.push(id);
            return Some(id);
        }
        let held = std::mem::take(&mut self.free);
        let id = if self.find(surface).is_none() { self.intern(surface) } else { NONE };
        self.free = held;
        if id == NONE {
            return None;
        }
        self.words[usize::from(id)].count = count;
        self.counted(id, i64::from(count));
        Some(id)
    }

    /// Sets the number of messages ended, as a snapshot has it.
    pub(in super::super) fn restore_ends(&mut self, count: u32) {
        self.words[usize::from(END)].count = count;
    }

    /// Notes a place of a restored word; its count stays. `false`: it has more places than sightings.
    pub(in super::super) fn restore_place(&mut self, id: WordId, position: u32) -> bool {
        let word = &mut self.words[usize::from(id)];
        self.dormant -= usize::from(word.places == 0 && word.len > 0);
        word.last = position + 1;
        let Some(places) = word.places.checked_add(1) else { return false };
        word.places = places;
        is_start(id) || u32::from(places) <= word.count
    }

    /// Makes the lists once all counts are restored.
    pub(in super::super) fn restored(&mut self) {
        self.free.reverse();
        (0..LISTS).for_each(|number| self.relist(number));
    }
}
