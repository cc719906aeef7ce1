//! Both models as a writer's words change them: what is asked, whoever writes.

use crate::{
    CharNgram, Delta, NextChars, Spelling,
    delta::Seen,
    tables::{END, FIRST, OTHER, START},
};

/// Strings extended per search for unlisted words; at about half a microsecond each it stays in the fast tier.
const BEAM: usize = 64;
/// Fewer typed letters than this say too little about a word that is in no list.
const LEAST_LETTERS: usize = 2;

/// A spelling model with the delta of a writer, if there is one. All strings together keep the probability 1.
#[derive(Debug, Clone, Copy)]
pub struct Adapted<'a> {
    spelling: &'a Spelling,
    chars: AdaptedChars<'a>,
}

impl<'a> Adapted<'a> {
    pub(crate) fn new(spelling: &'a Spelling, delta: Option<&'a Delta>) -> Self {
        Self { spelling, chars: spelling.chars().with(delta) }
    }

    /// As [`Spelling::prob`].
    pub fn prob(&self, surface: &str) -> f32 {
        let Self { spelling, chars } = self;
        let spell = || chars.log_prob(surface).exp();
        let prob = match spelling.lexicon().ordinal(surface) {
            Some(word) => {
                // Hardly a word has no three letters in common with the writer's, so a delta remembers its own.
                let spelled = match chars.delta {
                    Some(delta) => delta.remembered(word, spell),
                    None => spelling.remembered(word, spell),
                };
                spelling.mix(spelling.lexicon().weight(word), spelled)
            }
            None => spelling.mix(0.0, spell()),
        };
        prob.max(f32::MIN_POSITIVE)
    }

    /// As [`Spelling::log_prob`].
    pub fn log_prob(&self, surface: &str) -> f32 {
        self.spelling.mix_logs(self.spelling.lexicon().prob(surface), self.chars.log_prob(surface))
    }

    /// As [`Spelling::mass`].
    pub fn mass(&self, prefix: &str) -> f32 {
        let listed = self.spelling.lexicon().mass(prefix);
        self.spelling.mix(listed, self.chars.log_mass(prefix).exp()).max(f32::MIN_POSITIVE)
    }

    /// As [`Spelling::log_mass`].
    pub fn log_mass(&self, prefix: &str) -> f32 {
        self.spelling.mix_logs(self.spelling.lexicon().mass(prefix), self.chars.log_mass(prefix))
    }

    /// As [`Spelling::top`].
    pub fn top(&self, prefix: &str, k: usize) -> Vec<(String, f32)> {
        let Self { spelling, chars } = self;
        let mut words = spelling.lexicon().top(prefix, k);
        for (word, p) in &mut words {
            *p = self.prob(word);
        }
        if prefix.trim_start().chars().nth(LEAST_LETTERS - 1).is_some() {
            // Only words that beat the last of a full list can still enter it: mostly there are none, and no search.
            let last = words.iter().map(|(_, p)| *p).fold(f32::INFINITY, f32::min);
            let floor = if words.len() < k { 0.0 } else { last / (1.0 - spelling.chars().lambda()) };
            let unlisted = |word: &str| !spelling.contains(word);
            let unlisted = chars.complete_if(prefix, k, BEAM, floor.ln(), unlisted);
            words.extend(unlisted.into_iter().map(|(word, p)| (word, spelling.mix(0.0, p))));
        }
        words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(k);
        words
    }
}

/// A character model with the delta of a writer, if there is one. All strings together keep the probability 1.
#[derive(Debug, Clone, Copy)]
pub struct AdaptedChars<'a> {
    chars: &'a CharNgram,
    delta: Option<&'a Delta>,
}

impl<'a> AdaptedChars<'a> {
    pub(crate) fn new(chars: &'a CharNgram, delta: Option<&'a Delta>) -> Self {
        // What has learned nothing changes nothing.
        Self { chars, delta: delta.filter(|delta| !delta.is_empty()) }
    }

    /// As [`CharNgram::log_prob`].
    pub fn log_prob(&self, surface: &str) -> f32 {
        let (log, context) = self.walk(surface);
        (log + self.chars.tables().prob(context, END, &self.seen(context)).ln()) as f32
    }

    /// As [`CharNgram::log_mass`].
    pub fn log_mass(&self, prefix: &str) -> f32 {
        self.walk(prefix).0 as f32
    }

    /// As [`CharNgram::next_chars`].
    pub fn next_chars(&self, prefix: &str) -> NextChars {
        let all = self.distribution(self.walk(prefix).1);
        let chars =
            self.chars.alphabet().iter().copied().zip(all[usize::from(FIRST)..].iter().copied()).collect();
        NextChars { chars, end: all[usize::from(END)], other: all[usize::from(OTHER)] }
    }

    pub(crate) fn chars(&self) -> &'a CharNgram {
        self.chars
    }

    /// ln of the probability of a string without its end, and the context it leads to.
    pub(crate) fn walk(&self, text: &str) -> (f64, u64) {
        let tables = self.chars.tables();
        text.chars().fold((0.0, u64::from(START)), |(log, context), c| {
            let symbol = self.chars.symbol(c);
            let prob = tables.prob(context, symbol, &self.seen(context));
            (log + prob.ln() + self.chars.ln_share(symbol), extend(context, symbol))
        })
    }

    pub(crate) fn distribution(&self, context: u64) -> [f32; 256] {
        self.chars.tables().distribution(context, self.chars.alphabet().len(), &self.seen(context))
    }

    fn seen(&self, context: u64) -> Seen<'a> {
        self.delta.map_or_else(Seen::default, |delta| delta.seen(context))
    }
}

/// The context one symbol on: the newest is in the lowest byte, and what is older than eight drops out.
pub(crate) fn extend(context: u64, symbol: u8) -> u64 {
    context << 8 | u64::from(symbol)
}
