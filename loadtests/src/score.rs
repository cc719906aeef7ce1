//! What suggestions were worth to a typist who also has to read them: the figures of the evaluation kit's measure.py.
//!
//! Reading a new suggestion of no use costs a quarter of a keystroke, every word after the first of a new one 0.02; what
//! is merely typed through is not new. Confidence is held against whether the first word was right.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::typist::{MessageStats, Policy, Stats, Target, find_match};

/// Keystrokes that reading a new suggestion of no use costs.
const READ_COST: f64 = 0.25;
/// Keystrokes for every word of a new suggestion after its first.
const WORD_COST: f64 = 0.02;
/// Equally wide bins of confidence.
const BINS: usize = 10;
/// Resamples of the confidence interval.
const RESAMPLES: usize = 300;

/// A new suggestion, as the typist judged it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    confidence: f64,
    /// Its first word was what came next.
    right: bool,
    /// Taking it would have saved a key.
    saves: bool,
}

/// What one or several messages were worth.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// The keystrokes.
    pub stats: Stats,
    /// What reading cost, in keystrokes.
    reading: f64,
    marks: Vec<Mark>,
    answers: usize,
    /// Answers that were the rest of the one before.
    typed_through: usize,
    /// Predictor → the other answers that it was used in.
    used: BTreeMap<&'static str, usize>,
    /// What the fast tier took, of each answer.
    fast: Vec<Duration>,
    /// What the neural tier took for all of them.
    neural: Duration,
}

/// What the reader of one message saw last, to tell what is new.
#[derive(Debug, Default)]
pub struct Reader {
    shown: Option<String>,
}

impl Reader {
    /// Reads suggestions (text and confidence, none of them blank) at position `at` of the target, before the typist acts.
    /// Says what that cost, in keystrokes; `None`: there was nothing new.
    pub fn read(
        &mut self,
        target: &Target,
        at: usize,
        offered: &[(String, f32)],
        policy: Policy,
        score: &mut Score,
    ) -> Option<f64> {
        let Some((first, confidence)) = offered.first() else {
            self.shown = None;
            return None;
        };
        let full = format!("{}{first}", target.typed(at));
        let new = self.shown.as_ref().is_none_or(|shown| !shown.starts_with(&full));
        let cost = new.then(|| {
            let hit = |text: &str| find_match(target, at, text, policy, 0);
            let saves = |text: &str| hit(text).is_some_and(|found| found.saving() > 0);
            let useless = !offered.iter().any(|(text, _)| saves(text));
            score.marks.push(Mark {
                confidence: f64::from(*confidence),
                right: hit(first).is_some(),
                saves: saves(first),
            });
            let useless = if useless { READ_COST } else { 0.0 };
            useless + WORD_COST * (first.split_whitespace().count() as f64 - 1.0)
        });
        score.reading += cost.unwrap_or(0.0);
        self.shown = Some(full);
        cost
    }
}

impl Score {
    /// Adds other messages.
    pub fn add(&mut self, other: Self) {
        self.stats.add(other.stats);
        self.reading += other.reading;
        self.marks.extend(other.marks);
        self.answers += other.answers;
        self.typed_through += other.typed_through;
        self.fast.extend(other.fast);
        self.neural += other.neural;
        for (name, count) in other.used {
            *self.used.entry(name).or_default() += count;
        }
    }

    /// Counts an answer: `None` if it was the rest of the one before, else the predictors that were used. `fast` and `neural`:
    /// what the tiers took.
    pub fn answered(
        &mut self,
        fast: Duration,
        neural: Duration,
        used: Option<impl Iterator<Item = &'static str>>,
    ) {
        self.answers += 1;
        self.fast.push(fast);
        self.neural += neural;
        match used {
            None => self.typed_through += 1,
            Some(used) => used.for_each(|name| *self.used.entry(name).or_default() += 1),
        }
    }

    /// Keystrokes, and what reading cost.
    pub fn cost(&self) -> f64 {
        self.stats.keystrokes as f64 + self.reading
    }

    /// The figures of measure.py.
    pub fn figures(&self) -> Figures {
        let stats = &self.stats;
        let mut fast = self.fast.clone();
        fast.sort();
        let fast_ms = |share: f64| {
            let at = fast.get((share * fast.len() as f64) as usize);
            at.map_or(0.0, |fast| fast.as_secs_f64() * 1e3)
        };
        let marks = self.marks.len().max(1) as f64;
        Figures {
            ksr: stats.ksr(),
            ci95: interval(&stats.messages),
            net: 1.0 - self.cost() / stats.characters.max(1) as f64,
            coverage: stats.shown as f64 / stats.opportunities.max(1) as f64,
            precision: self.marks.iter().filter(|mark| mark.saves).count() as f64 / marks,
            ece: self.calibration_error(),
            accept_words: stats.accept_words as f64 / stats.accepts.max(1) as f64,
            characters: stats.characters,
            fast_ms_p50: fast_ms(0.5),
            fast_ms_p99: fast_ms(0.99),
            neural_ms: self.neural.as_secs_f64() * 1e3 / self.answers.max(1) as f64,
            type_through: self.typed_through as f64 / self.answers.max(1) as f64,
            used: {
                let others = (self.answers - self.typed_through).max(1) as f64;
                self.used.iter().map(|(name, count)| ((*name).to_owned(), *count as f64 / others)).collect()
            },
        }
    }

    /// Expected calibration error: how far confidence is from the share that was right, over bins, by their size.
    fn calibration_error(&self) -> f64 {
        let mut bins = [(0.0, 0.0); BINS];
        for mark in &self.marks {
            let bin = &mut bins[((mark.confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.0 += mark.confidence;
            bin.1 += f64::from(u8::from(mark.right));
        }
        bins.iter().map(|(said, right)| (said - right).abs()).sum::<f64>() / self.marks.len().max(1) as f64
    }
}

/// What a run is reported as; shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Figures {
    /// Keystroke savings rate: 1 − keystrokes / characters.
    pub ksr: f64,
    /// Its 95 % interval, messages resampled.
    pub ci95: [f64; 2],
    /// The same with what reading costs.
    pub net: f64,
    /// Positions with a suggestion.
    pub coverage: f64,
    /// New suggestions that would have saved a key.
    pub precision: f64,
    /// Expected calibration error of the confidence.
    pub ece: f64,
    /// Words of what was taken at once.
    pub accept_words: f64,
    /// What was typed.
    pub characters: usize,
    /// Milliseconds that everything but the GPT-2 took: the median, and what one answer in a hundred exceeds.
    pub fast_ms_p50: f64,
    /// See [`Figures::fast_ms_p50`].
    pub fast_ms_p99: f64,
    /// Milliseconds that the GPT-2 took, over all answers.
    pub neural_ms: f64,
    /// Answers that were the rest of the one before.
    pub type_through: f64,
    /// Predictor → the share of the other answers that it was used in.
    pub used: BTreeMap<String, f64>,
}

/// Bootstrap over messages with a fixed seed.
fn interval(messages: &[MessageStats]) -> [f64; 2] {
    if messages.is_empty() {
        return [0.0; 2];
    }
    let mut state = 1_u64;
    let mut draw = || {
        // splitmix64 (Steele et al. 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        &messages[((mixed ^ (mixed >> 31)) % messages.len() as u64) as usize]
    };
    let mut rates: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut keys, mut characters) = (0, 0);
            for _ in 0..messages.len() {
                let message = draw();
                keys += message.keystrokes;
                characters += message.characters;
            }
            1.0 - keys as f64 / characters.max(1) as f64
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share| rates[(share * RESAMPLES as f64) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_costs_only_what_is_new() {
        let (target, mut reader, mut score) =
            (Target::new("hello world"), Reader::default(), Score::default());
        let offer = |text: &str| vec![(text.to_owned(), 0.5)];
        reader.read(&target, 0, &offer("help me now "), Policy::Partial, &mut score);
        assert!((score.reading - (READ_COST + 2.0 * WORD_COST)).abs() < 1e-12);
        // Typed through: the same ghost text, one letter on.
        reader.read(&target, 1, &offer("elp me now "), Policy::Partial, &mut score);
        assert_eq!(score.marks.len(), 1);
        reader.read(&target, 2, &offer("llo "), Policy::Partial, &mut score);
        assert_eq!(score.marks.len(), 2);
        reader.read(&target, 3, &[], Policy::Partial, &mut score);
        reader.read(&target, 4, &offer("o "), Policy::Partial, &mut score);
        assert_eq!(score.marks.len(), 3, "after silence everything is new");
        let figures = score.figures();
        assert!((figures.precision - 2.0 / 3.0).abs() < 1e-12);
        // One bin: said 0.5 three times, right twice.
        assert!((figures.ece - (1.5_f64 - 2.0).abs() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_holds_the_rate() {
        let messages: Vec<_> = (0..50)
            .map(|i| MessageStats { characters: 100, keystrokes: 40 + i % 20, ..MessageStats::default() })
            .collect();
        let [low, high] = interval(&messages);
        assert!(low < 0.505 && 0.505 < high && high - low < 0.05, "{low} {high}");
        assert_eq!(interval(&messages), [low, high]);
    }
}
