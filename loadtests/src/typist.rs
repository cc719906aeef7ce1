//! A deterministic writer: what a suggestion would have saved, keystroke by keystroke.
//!
//! The writer types a known text with the cursor at its end, and before every keystroke looks at what is suggested. They
//! take what matches (one key for all of it, or one a word), otherwise they type the next character. Positions count
//! Unicode scalar values. The protocol is that of ChaI-TeA (Goren et al. 2024), with partial acceptance and a cost for
//! looking; a golden file made by the reference implementation in Python pins it to the keystroke.

use foretype_markov::segment::is_boundary;

/// What of a suggestion the writer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All of it or nothing.
    Full,
    /// All of it, or its leading words that match.
    Partial,
}

/// How the writer works.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many suggestions they read: 1 is ghost text, 3 a list.
    pub k: usize,
    /// What they may take.
    pub policy: Policy,
    /// The least number of keystrokes worth a press: 1 by default, 0 is ChaI-TeA's greedy user.
    pub min_saving: i64,
    /// The share of positions, 0 to 1, at which they look up at all; see [`glance`].
    pub attention: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self { k: 1, policy: Policy::Partial, min_saving: 1, attention: 1.0 }
    }
}

/// A text to be typed.
#[derive(Clone, Debug)]
pub struct Target {
    text: String,
    /// Byte offset of each character, and the length at the end.
    offsets: Vec<usize>,
}

impl Target {
    /// Prepares `text` for positions in characters.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let offsets = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
        Self { text, offsets }
    }

    /// How many characters it has.
    pub fn characters(&self) -> usize {
        self.offsets.len() - 1
    }

    /// What the box holds at position `at`.
    pub fn typed(&self, at: usize) -> &str {
        &self.text[..self.offsets[at]]
    }

    fn rest(&self, at: usize) -> &str {
        &self.text[self.offsets[at]..]
    }
}

/// What the writer can take of one suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Characters that go into the box.
    pub chars: usize,
    /// Keystrokes it takes.
    pub cost: usize,
    /// Whether it is the whole suggestion.
    pub full: bool,
    /// Its place among the suggestions, 0 first.
    pub rank: usize,
}

impl Match {
    /// Keystrokes saved; not above zero when the press costs what it gives.
    pub fn saving(&self) -> i64 {
        self.chars as i64 - self.cost as i64
    }
}

/// What a writer at position `at` of `target` can take of `suggestion`, if anything.
pub fn find_match(
    target: &Target,
    at: usize,
    suggestion: &str,
    policy: Policy,
    rank: usize,
) -> Option<Match> {
    if suggestion.trim().is_empty() {
        return None;
    }
    let rest = target.rest(at);
    let core = suggestion.trim_end_matches(' ');
    // A surplus space before punctuation or the end is swallowed by the editor.
    let surplus = core.len() < suggestion.len() && !follows(rest, core.chars().count()).starts_with(' ');
    let offered = if surplus { core } else { suggestion };

    let common = offered.chars().zip(rest.chars()).take_while(|(a, b)| a == b).count();
    let ends_word = |chars: usize| is_boundary(&target.text, target.offsets[at + chars]);
    if common == offered.chars().count() && ends_word(common) {
        return Some(Match { chars: common, cost: 1, full: true, rank });
    }
    if policy == Policy::Full {
        return None;
    }

    let box_after = format!("{}{offered}", target.typed(at));
    let chars = (1..=common).rev().find(|&chars| {
        // Up to the common length both texts agree, and so do their byte offsets.
        ends_word(chars) && is_boundary(&box_after, target.offsets[at + chars])
    })?;
    let taken = &target.text[target.offsets[at]..target.offsets[at + chars]];
    let words = taken.split_whitespace().count();
    if words == 0 {
        return None;
    }
    // Accept-word stops at the end of the word, and takes the space that both have.
    let chars = taken.trim_end().chars().count();
    let both_space = follows(offered, chars).starts_with(' ') && follows(rest, chars).starts_with(' ');
    Some(Match { chars: chars + usize::from(both_space), cost: words, full: false, rank })
}

/// `text` without its first `chars` characters.
fn follows(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or("", |(offset, _)| &text[offset..])
}

/// A number in [0, 1) that depends on the text only: FNV-1a of its UTF-8, finished as in splitmix64.
///
/// Whether the writer looks up at a place is decided by it, so that runs compare.
pub fn glance(text: &str) -> f64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / 2.0_f64.powi(64)
}

/// What a run was worth. Counts are sums over messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Characters of all messages.
    pub characters: usize,
    /// Keys pressed; sending is not counted.
    pub keystrokes: usize,
    /// Positions at which suggestions were asked for.
    pub opportunities: usize,
    /// Positions with at least one suggestion.
    pub shown: usize,
    /// Of these, with one that the writer was not merely typing through.
    pub shown_new: usize,
    /// Of `shown`, those where nothing could have been taken.
    pub false_shown: usize,
    /// Suggestions taken, in whole or in part.
    pub accepts: usize,
    /// Suggestions taken whole.
    pub full_accepts: usize,
    /// Keys pressed to take suggestions.
    pub accept_keys: usize,
    /// Characters taken.
    pub accept_chars: usize,
    /// Words taken.
    pub accept_words: usize,
    /// A row a message.
    pub messages: Vec<MessageStats>,
}

/// What one message took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageStats {
    /// Its length.
    pub characters: usize,
    /// Characters that came from suggestions.
    pub accept_chars: usize,
    /// Keys pressed to take them.
    pub accept_keys: usize,
    /// All keys pressed.
    pub keystrokes: usize,
}

impl Stats {
    /// Adds other messages.
    pub fn add(&mut self, other: Self) {
        self.characters += other.characters;
        self.keystrokes += other.keystrokes;
        self.opportunities += other.opportunities;
        self.shown += other.shown;
        self.shown_new += other.shown_new;
        self.false_shown += other.false_shown;
        self.accepts += other.accepts;
        self.full_accepts += other.full_accepts;
        self.accept_keys += other.accept_keys;
        self.accept_chars += other.accept_chars;
        self.accept_words += other.accept_words;
        self.messages.extend(other.messages);
    }

    /// Keystroke savings rate: 1 − keystrokes / characters; 0 when nothing was typed.
    pub fn ksr(&self) -> f64 {
        if self.characters == 0 { 0.0 } else { 1.0 - self.keystrokes as f64 / self.characters as f64 }
    }

    /// ChaI-TeA's saved@k: the mean over messages of (accepted characters − accepting keys) / max(1, length − 1).
    pub fn saved_at_k(&self) -> f64 {
        let saved = |m: &MessageStats| {
            (m.accept_chars as f64 - m.accept_keys as f64) / m.characters.saturating_sub(1).max(1) as f64
        };
        self.messages.iter().map(saved).sum::<f64>() / self.messages.len().max(1) as f64
    }
}

/// A writer at work on one message. Ask [`draft`](Self::draft), show them suggestions with [`see`](Self::see), repeat.
#[derive(Debug)]
pub struct Typist<'a> {
    target: &'a Target,
    habits: Habits,
    at: usize,
    message: MessageStats,
    /// The box with each suggestion shown at the previous position: what is merely typed through is not new.
    previous: Vec<String>,
}

impl<'a> Typist<'a> {
    /// A writer before an empty box.
    pub fn new(target: &'a Target, habits: Habits) -> Self {
        let message = MessageStats { characters: target.characters(), ..MessageStats::default() };
        Self { target, habits, at: 0, message, previous: Vec::new() }
    }

    /// What the box holds, or `None` once the message is finished.
    pub fn draft(&self) -> Option<&'a str> {
        (self.at < self.target.characters()).then(|| self.target.typed(self.at))
    }

    /// How many characters the box holds.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Reads the suggestions, best first, and presses one key or takes one of them; which one is returned.
    ///
    /// The message's row is added to `stats` with its last keystroke.
    pub fn see<S: AsRef<str>>(&mut self, suggestions: &[S], stats: &mut Stats) -> Option<Match> {
        let best = self.best(suggestions, stats);
        let taken = best.filter(|best| {
            best.saving() >= self.habits.min_saving
                && (self.habits.attention >= 1.0
                    || glance(self.target.typed(self.at)) < self.habits.attention)
        });
        match taken {
            Some(taken) => self.take(taken, stats),
            None => {
                self.at += 1;
                self.message.keystrokes += 1;
            }
        }
        if self.draft().is_none() {
            stats.characters += self.message.characters;
            stats.keystrokes += self.message.keystrokes;
            stats.messages.push(self.message);
        }
        taken
    }

    /// The match that saves most, the higher rank at a tie; counts what was shown.
    fn best<S: AsRef<str>>(&mut self, suggestions: &[S], stats: &mut Stats) -> Option<Match> {
        stats.opportunities += 1;
        let shown: Vec<&str> = suggestions
            .iter()
            .map(AsRef::as_ref)
            .take(self.habits.k)
            .filter(|text| !text.trim().is_empty())
            .collect();
        let typed = self.target.typed(self.at);
        let texts: Vec<String> = shown.iter().map(|text| format!("{typed}{text}")).collect();
        if !shown.is_empty() {
            stats.shown += 1;
            stats.shown_new += usize::from(texts.iter().any(|text| !self.previous.contains(text)));
        }
        self.previous = texts;
        let best = shown
            .iter()
            .enumerate()
            .filter_map(|(rank, text)| find_match(self.target, self.at, text, self.habits.policy, rank))
            .max_by_key(|found| (found.saving(), std::cmp::Reverse(found.rank)));
        stats.false_shown += usize::from(!shown.is_empty() && best.is_none());
        best
    }

    fn take(&mut self, taken: Match, stats: &mut Stats) {
        let accepted =
            &self.target.text[self.target.offsets[self.at]..self.target.offsets[self.at + taken.chars]];
        self.at += taken.chars;
        self.message.keystrokes += taken.cost;
        self.message.accept_chars += taken.chars;
        self.message.accept_keys += taken.cost;
        stats.accepts += 1;
        stats.full_accepts += usize::from(taken.full);
        stats.accept_chars += taken.chars;
        stats.accept_keys += taken.cost;
        stats.accept_words += accepted.split_whitespace().count();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(
        target: &str,
        at: usize,
        suggestion: &str,
        policy: Policy,
        expected: Option<(usize, usize, bool)>,
    ) {
        let found = find_match(&Target::new(target), at, suggestion, policy, 0);
        assert_eq!(found.map(|m| (m.chars, m.cost, m.full)), expected, "{target:?} at {at}: {suggestion:?}");
    }

    #[test]
    fn whole_suggestions_end_with_a_word() {
        check("the nicest day", 0, "the nice", Policy::Full, None);
        check("ask for my balance.", 0, "ask for my balance ", Policy::Full, Some((18, 1, true)));
        check("see you", 3, " you ", Policy::Full, Some((4, 1, true)));
        check("a b", 0, "a ", Policy::Full, Some((2, 1, true)));
        check("Hello there", 0, "hello", Policy::Full, None);
        check("hello", 0, "  ", Policy::Partial, None);
    }

    #[test]
    fn leading_words_cost_a_key_each() {
        check("the nicest day", 0, "the nice", Policy::Partial, Some((4, 1, false)));
        check("nice day", 0, "nicest day", Policy::Partial, None);
        check("thanks for calling us", 0, "thanks for waiting", Policy::Partial, Some((11, 2, false)));
    }

    #[test]
    fn an_oracle_costs_one_key_and_silence_costs_them_all() {
        let target = Target::new("hello world");
        let run = |suggest: &dyn Fn(&str) -> Vec<String>| {
            let mut stats = Stats::default();
            let mut typist = Typist::new(&target, Habits::default());
            while let Some(draft) = typist.draft() {
                typist.see(&suggest(draft), &mut stats);
            }
            stats
        };
        let oracle = run(&|draft| vec!["hello world"[draft.len()..].to_owned()]);
        assert_eq!((oracle.keystrokes, oracle.accepts), (1, 1));
        assert!((oracle.saved_at_k() - 1.0).abs() < 1e-12);
        let silence = run(&|_| Vec::new());
        assert_eq!((silence.keystrokes, silence.shown), (11, 0));
        assert!(silence.ksr().abs() < 1e-12);
    }
}
