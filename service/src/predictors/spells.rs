//! The spelling model's answers, each worked out once however many members ask: every n-gram hands it its escape mass.

use std::cell::RefCell;

use foretype_charlm::{Adapted, Delta, Spelling};
use hashbrown::HashMap;

/// The spelling model at one keystroke, as the writer's words change it.
pub struct Spells<'a> {
    model: &'a Spelling,
    adapted: Adapted<'a>,
    words: RefCell<HashMap<String, f32>>,
    /// Of a keystroke's few prefixes.
    masses: RefCell<Vec<(String, f32)>>,
}

impl<'a> Spells<'a> {
    /// Knows nothing yet. `delta`: of a writer who is known.
    pub fn new(model: &'a Spelling, delta: Option<&'a Delta>) -> Self {
        Self { model, adapted: model.with(delta), words: RefCell::default(), masses: RefCell::default() }
    }

    /// The model itself, whoever writes.
    pub fn model(&self) -> &'a Spelling {
        self.model
    }

    /// [`Adapted::prob`].
    pub fn prob(&self, surface: &str) -> f32 {
        let known = self.words.borrow().get(surface).copied();
        known.unwrap_or_else(|| {
            let prob = self.adapted.prob(surface);
            self.words.borrow_mut().insert(surface.to_owned(), prob);
            prob
        })
    }

    /// [`Adapted::mass`].
    pub fn mass(&self, prefix: &str) -> f32 {
        let known = self.masses.borrow().iter().find(|(known, _)| known == prefix).map(|(_, mass)| *mass);
        known.unwrap_or_else(|| {
            let mass = self.adapted.mass(prefix);
            self.masses.borrow_mut().push((prefix.to_owned(), mass));
            mass
        })
    }

    /// [`Adapted::top`].
    pub fn top(&self, prefix: &str, k: usize) -> Vec<(String, f32)> {
        let top = self.adapted.top(prefix, k);
        self.words.borrow_mut().extend(top.iter().cloned());
        top
    }
}
