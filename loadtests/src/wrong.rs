//! Where the keys go: every key that was pressed by hand has a reason, and the words that cost most are shown with what
//! each predictor thought of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Result;
use foretype::engine::{Effort, Predictor, Silence, Source};
use foretype::ensemble::weights::{Loss, MEMBERS};
use foretype_markov::segment;
use serde::Serialize;
use serde_json::Value;

use crate::corpus::{Message, Stream};
use crate::desk::{Desk, Moment, Setup, Witness, type_streams};
use crate::score::Score;
use crate::typist::{Policy, find_match};

/// All words are weighed, however long that takes.
const EFFORT: Effort = Effort { steps: 4_096, patience: Duration::from_secs(30), ..Effort::SENDING };

/// Lower bounds of the columns: P(the word) by the predictor that foresaw it best.
const COLUMNS: [f64; 5] = [0.3, 0.1, 0.01, 0.001, 0.0];

/// Characters before a word that are shown with it.
const BEFORE: usize = 60;

/// Why a key was pressed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// What was shown was right, and the typist did not look up.
    Unseen,
    /// What was shown was right and would have saved nothing.
    NothingToSave,
    /// Something else was shown; the word was a candidate.
    Outranked,
    /// What was shown is the rest of the last suggestion, and wrong by now.
    TypedThrough,
    /// Nothing was shown; the word was the best candidate.
    HeldBack,
    /// Nothing was shown; the word was another candidate.
    Behind,
    /// The word was no candidate; something else was shown.
    Misled,
    /// The word was no candidate; nothing was shown.
    Unforeseen,
}

impl Why {
    const ALL: [Self; 8] = [
        Self::Unseen,
        Self::NothingToSave,
        Self::Outranked,
        Self::TypedThrough,
        Self::HeldBack,
        Self::Behind,
        Self::Misled,
        Self::Unforeseen,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Unseen => "right, and not looked at",
            Self::NothingToSave => "right, and no key to save",
            Self::Outranked => "something else shown, a candidate",
            Self::TypedThrough => "rest of an older suggestion shown",
            Self::HeldBack => "silence, the best candidate",
            Self::Behind => "silence, another candidate",
            Self::Misled => "something else shown, no candidate",
            Self::Unforeseen => "silence, no candidate",
        }
    }

    /// Whether a better choice among what was said would have saved the key.
    const fn is_choice(self) -> bool {
        matches!(self, Self::Outranked | Self::TypedThrough | Self::HeldBack | Self::Behind)
    }
}

/// One key pressed by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    /// What was typed of the word before.
    typed: String,
    /// The first suggestion and its confidence.
    shown: Option<(String, f32)>,
    /// The reason of a silence.
    silence: Option<&'static str>,
    why: Why,
    /// P(the word) of the mixture, calibrated, and its place among the candidates; `None`: it was none.
    candidate: Option<(f64, usize)>,
}

/// A word of a message that took keys.
#[derive(Clone, Debug, Serialize)]
pub struct Word {
    /// Whose it is: the number of the stream.
    pub stream: usize,
    /// The text before it.
    pub before: String,
    /// Its surface.
    pub word: String,
    /// Where it stands in the mixture's weights.
    pub bucket: u8,
    /// P(the word | what is before it) of each predictor, and of the mixture; those asleep left out.
    pub foreseen: BTreeMap<&'static str, f64>,
    /// What the bundle's weights there are, in 255ths, by predictor.
    pub prior: BTreeMap<&'static str, u8>,
    /// The keys that were pressed by hand.
    pub keys: Vec<Key>,
    /// What reading suggestions cost, in keystrokes.
    pub reading: f64,
}

impl Word {
    /// Keystrokes that a better choice among the candidates would have saved.
    fn regret(&self) -> f64 {
        self.reading + self.keys.iter().filter(|key| key.why.is_choice()).count() as f64
    }

    /// The column of COLUMNS.
    fn column(&self) -> usize {
        let best = self.foreseen.values().copied().fold(0.0, f64::max);
        COLUMNS.iter().position(|least| best >= *least).unwrap_or(COLUMNS.len() - 1)
    }
}

/// Notes the words of one stream.
#[derive(Default)]
struct Notes {
    words: Vec<Word>,
    /// Where the words of the message at hand end, in characters, and their places in `words`.
    ends: Vec<usize>,
    first: usize,
    shown: BTreeMap<String, Shown>,
}

/// What became of one first word, wherever it was shown anew.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    times: usize,
    right: usize,
    reading: f64,
}

impl Witness for Notes {
    const DEBUG: bool = true;

    async fn begin(&mut self, desk: &Desk<'_>, writer: Option<&str>, message: &Message) -> Result<()> {
        let asked = desk.keystroke(writer, message, "")?;
        let memory = match &asked.writer {
            Some(writer) => Some(desk.app.writers.get(&desk.app.caller.record(writer)).await?.memory()),
            None => None,
        };
        let losses = desk
            .app
            .engine
            .losses(&message.text, asked.role, &asked.context, memory.as_ref(), None, EFFORT)
            .await;
        // Of a text that is not written as the models see it the words cannot be told apart.
        let same = segment::normalise(&message.text) == message.text;
        let mut losses = losses.0.into_iter().filter(|_| same);
        (self.first, self.ends) = (self.words.len(), Vec::new());
        let (mut bytes, mut characters) = (0, 0);
        for word in segment::surfaces(&message.text) {
            let Loss { bucket, prior, log_probs } = losses.next().unwrap_or_default();
            let said = Predictor::ALL.map(Predictor::name).into_iter().zip(log_probs);
            let mut foreseen: BTreeMap<_, _> =
                said.filter_map(|(who, p)| Some((who, f64::from(p?).exp()))).collect();
            let factors = memory.as_ref().map_or([1.0; MEMBERS], |memory| {
                memory.read().unwrap_or_else(PoisonError::into_inner).weights.factors(usize::from(bucket))
            });
            let (mut mixed, mut awake) = (0.0, 0.0);
            for (at, who) in Predictor::ALL.map(Predictor::name).into_iter().enumerate() {
                if let Some(p) = foreseen.get(who) {
                    let weight = f64::from(factors[at]) * f64::from(prior[at]);
                    (mixed, awake) = (mixed + weight * p, awake + weight);
                }
            }
            if awake > 0.0 {
                foreseen.insert("mixture", mixed / awake);
            }
            self.words.push(Word {
                stream: 0,
                before: last_characters(&message.text[..bytes], BEFORE).to_owned(),
                word: word.to_owned(),
                bucket,
                foreseen,
                prior: Predictor::ALL.map(Predictor::name).into_iter().zip(prior).collect(),
                keys: Vec::new(),
                reading: 0.0,
            });
            bytes += word.len();
            characters += word.chars().count();
            self.ends.push(characters);
        }
        Ok(())
    }

    fn see(&mut self, moment: &Moment<'_>) {
        let at = self.first + self.ends.partition_point(|end| *end <= moment.at);
        let start = at.checked_sub(self.first + 1).map_or(0, |before| self.ends[before]);
        let matched =
            |(text, _): &(String, f32)| find_match(moment.target, moment.at, text, Policy::Partial, 0);
        let saving = moment.offered.iter().filter_map(matched).map(|found| found.saving()).max();
        let word = &mut self.words[at];
        if let (Some(cost), Some((text, _))) = (moment.reading, moment.offered.first()) {
            word.reading += cost;
            let said = text.split_whitespace().next().unwrap_or_default();
            let shown = self.shown.entry(said.to_owned()).or_default();
            shown.times += 1;
            shown.right += usize::from(saving.is_some_and(|saving| saving > 0));
            shown.reading += cost;
        }
        if moment.taken.is_some() {
            return;
        }
        let completion = &moment.answer.completion;
        let candidate = completion.debug.as_ref().and_then(|debug| place_of(&word.word, debug));
        let why = match (saving, moment.offered.is_empty(), candidate) {
            (Some(saving), ..) if saving > 0 => Why::Unseen,
            (Some(_), ..) => Why::NothingToSave,
            (None, false, _) if completion.source == Source::TypeThrough => Why::TypedThrough,
            (None, false, Some(_)) => Why::Outranked,
            (None, false, None) => Why::Misled,
            (None, true, Some((_, 0))) => Why::HeldBack,
            (None, true, Some(_)) => Why::Behind,
            (None, true, None) => Why::Unforeseen,
        };
        let typed = word.word.chars().take(moment.at - start).collect();
        let silence = completion.silence.map(Silence::name);
        word.keys.push(Key { typed, shown: moment.offered.first().cloned(), silence, why, candidate });
    }
}

/// The calibrated probability of a word among the candidates that `debug` explains, and its place.
fn place_of(word: &str, debug: &Value) -> Option<(f64, usize)> {
    let candidates = debug.get("candidates")?.as_array()?;
    let at = candidates.iter().position(|candidate| candidate["surfaces"][0].as_str() == Some(word))?;
    Some((candidates[at]["probabilities"][0].as_f64()?, at))
}

fn last_characters(text: &str, count: usize) -> &str {
    text.char_indices().rev().take(count).last().map_or("", |(at, _)| &text[at..])
}

/// Where the keys of a set went.
#[derive(Debug, Default)]
pub struct Report {
    score: Score,
    words: Vec<Word>,
    shown: BTreeMap<String, Shown>,
    /// How many words and suggestions are listed.
    listed: usize,
}

/// Types every stream.
///
/// # Errors
/// When the models cannot be opened or a request is refused.
pub fn run(setup: &Setup, streams: &[Stream], listed: usize) -> Result<Report> {
    let mut report = Report { listed, ..Report::default() };
    for (stream, (score, notes)) in type_streams::<Notes>(setup, streams)?.into_iter().enumerate() {
        report.score.add(score);
        report.words.extend(notes.words.into_iter().map(|word| Word { stream, ..word }));
        for (said, shown) in notes.shown {
            let sum = report.shown.entry(said).or_default();
            sum.times += shown.times;
            sum.right += shown.right;
            sum.reading += shown.reading;
        }
    }
    Ok(report)
}

impl Report {
    /// All words, in the order they were typed.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Most regretted first; among equals those that took most keys.
    fn regretted(&self) -> Vec<&Word> {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by(|a, b| b.regret().total_cmp(&a.regret()).then_with(|| b.keys.len().cmp(&a.keys.len())));
        words
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.score.stats;
        let of = |keys: f64| 100.0 * keys / stats.characters.max(1) as f64;
        let read: f64 = self.words.iter().map(|word| word.reading).sum();
        writeln!(
            f,
            "100 characters take {:.1} keys, {:.1} of them to accept, and reading what costs {:.1}. Keys by hand, by what the \
             predictor that foresaw the word best gave it:\n",
            of(stats.keystrokes as f64),
            of(stats.accept_keys as f64),
            of(read)
        )?;
        let mut sums = BTreeMap::new();
        for word in &self.words {
            for key in &word.keys {
                *sums.entry((key.why, word.column())).or_insert(0.0) += 1.0;
            }
        }
        write!(f, "{:36}{:>8}", "", "all")?;
        for least in COLUMNS {
            let head = if least > 0.0 { format!("P≥{least}") } else { "less".to_owned() };
            write!(f, "{head:>8}")?;
        }
        writeln!(f)?;
        for why in Why::ALL {
            let row: Vec<f64> =
                (0..COLUMNS.len()).map(|at| of(sums.get(&(why, at)).copied().unwrap_or(0.0))).collect();
            write!(f, "{:36}{:8.2}", why.text(), row.iter().sum::<f64>())?;
            row.iter().try_for_each(|cell| write!(f, "{cell:8.2}"))?;
            writeln!(f)?;
        }
        writeln!(
            f,
            "\nSuggestions whose first word cost most to read: shown anew, of use, keystrokes lost\n"
        )?;
        let mut shown: Vec<_> = self.shown.iter().collect();
        shown.sort_by(|a, b| b.1.reading.total_cmp(&a.1.reading));
        for (said, shown) in shown.into_iter().take(self.listed) {
            writeln!(f, "{said:24}{:7}{:7}{:9.2}", shown.times, shown.right, shown.reading)?;
        }
        writeln!(f, "\nWords that a better choice among what was said would have saved most of\n")?;
        self.regretted().into_iter().take(self.listed).try_for_each(|word| word.fmt(f))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.2} lost  …{}[{}]", self.regret(), self.before.replace('\n', "⏎"), self.word)?;
        let foreseen: Vec<_> = self.foreseen.iter().map(|(who, p)| format!("{who} {p:.1e}")).collect();
        writeln!(f, "    {}", foreseen.join("  "))?;
        for key in &self.keys {
            let shown = match (&key.shown, key.silence) {
                (Some((text, confidence)), _) => format!("{text:?} {confidence:.2}"),
                (None, reason) => reason.unwrap_or_default().to_owned(),
            };
            let candidate = key.candidate.map(|(p, at)| format!(" (candidate {}: {p:.2})", at + 1));
            writeln!(
                f,
                "    {:16}→ {shown}: {}{}",
                format!("[{}]", key.typed),
                key.why.text(),
                candidate.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_true_word_is_found_among_the_candidates() {
        let debug = json!({"candidates": [
            {"surfaces": [" a", " b"], "probabilities": [0.5, 0.2]},
            {"surfaces": [" word"], "probabilities": [0.25]},
        ]});
        assert_eq!(place_of(" word", &debug), Some((0.25, 1)));
        assert_eq!(place_of("word", &debug), None);
        assert_eq!(place_of(" word", &json!({})), None);
    }

    #[test]
    fn the_end_of_a_text_is_cut_between_characters() {
        assert_eq!(last_characters("größe", 3), "öße");
        assert_eq!(last_characters("a", 3), "a");
    }
}
