//! One answer: the words here, the words after a prefix that is whole, and phrases, all sharing the passes.

use std::sync::Arc;

use crate::boundary::End;
use crate::context::{Place, Prompt};
use crate::distribution::Distribution;
use crate::gpt2::{Ask, Continuation, Word, Words};
use crate::phrase::Phrase;
use crate::search::{Aim, Query, Search};
use crate::session::CHUNK;
use crate::step::{Halt, Steps};
use crate::vocabulary::Vocabulary;

/// What follows a prefix is looked for if the prefix is a whole word at least this likely.
const DONE_FLOOR: f32 = 0.05;
/// A first word less likely than this is not worth going on after.
const PHRASE_FLOOR: f32 = 0.15;
/// First words that are gone on after.
const PHRASES: usize = 1;
/// Nodes opened in one pass, by the words here, the words after, and each phrase.
const WIDTHS: (usize, usize, usize) = (3, 2, 1);
/// The same of a narrow one.
const NARROW: (usize, usize, usize) = (1, 1, 1);

/// The searches that one question needs.
pub(crate) struct Answer<'a> {
    prompt: &'a Prompt<'a>,
    ask: &'a Ask<'a>,
    vocabulary: &'a Vocabulary,
    here: Search<'a>,
    /// By candidate asked for, its number in `here`; `None` for one that does not start with the prefix.
    goals: Vec<Option<usize>>,
    /// The prefix itself, if it may be a word.
    done: Option<usize>,
    next: Option<Search<'a>>,
    next_goals: Vec<usize>,
    phrases: Vec<Phrase<'a>>,
}

/// Who asked for a node.
#[derive(Clone, Copy)]
enum Asker {
    Here,
    Next,
    Phrase(usize),
}

impl<'a> Answer<'a> {
    /// Nothing found yet; `root` is the distribution at `place`.
    pub(crate) fn new(
        place: &Place,
        prompt: &'a Prompt<'a>,
        ask: &'a Ask<'a>,
        vocabulary: &'a Vocabulary,
        root: &Arc<Distribution>,
    ) -> Self {
        let mut here = Search::new(query(place, prompt.prefix), vocabulary, root);
        let fits = |surface: &str| surface.starts_with(prompt.prefix) && !surface.is_empty();
        let goals = ask.candidates.iter().map(|surface| fits(surface).then(|| here.ask(surface))).collect();
        let done = (!prompt.prefix.trim().is_empty()).then(|| here.ask(prompt.prefix));
        Self {
            prompt,
            ask,
            vocabulary,
            here,
            goals,
            done,
            next: None,
            next_goals: Vec::new(),
            phrases: Vec::new(),
        }
    }

    /// Runs passes until all is found that is worth one.
    ///
    /// # Errors
    /// Why it ended early; what was found so far stands.
    pub(crate) async fn find(&mut self, steps: &mut Steps<'a>) -> Result<(), Halt> {
        let widths = if self.ask.narrow { NARROW } else { WIDTHS };
        loop {
            let mut askers: Vec<(Asker, usize)> = Vec::new();
            let here = self.here.wanted(steps, Aim::best(self.ask.top), widths.0);
            askers.extend(here.into_iter().map(|node| (Asker::Here, node)));
            self.look_after();
            if let Some(next) = &mut self.next {
                let found = next.wanted(steps, Aim::best(self.ask.top), widths.1);
                askers.extend(found.into_iter().map(|node| (Asker::Next, node)));
            }
            self.go_on();
            for (phrase, i) in self.phrases.iter_mut().zip(0..) {
                let found = phrase.wanted(steps, widths.2);
                askers.extend(found.into_iter().map(|node| (Asker::Phrase(i), node)));
            }
            if askers.is_empty() {
                return Ok(());
            }
            self.pass(steps, &askers).await?;
        }
    }

    /// Opens the nodes asked for in one pass, with what may be wanted behind them while there is room in it.
    async fn pass(&mut self, steps: &mut Steps<'_>, askers: &[(Asker, usize)]) -> Result<(), Halt> {
        let mut sequences: Vec<Vec<u32>> = Vec::with_capacity(CHUNK);
        for &(asker, node) in askers {
            sequences.extend(self.search(asker).map(|search| search.tokens(node)));
        }
        for &(asker, node) in askers.iter().filter(|_| !self.ask.narrow) {
            let room = CHUNK.saturating_sub(sequences.len());
            sequences.extend(self.search(asker).map(|search| search.ahead(node, room)).unwrap_or_default());
        }
        let borrowed: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let found = steps.pass(&borrowed).await?;
        for (&(asker, node), distribution) in askers.iter().zip(&found) {
            if let Some(search) = self.search(asker) {
                search.open(node, distribution.as_ref());
            }
        }
        Ok(())
    }

    fn search(&mut self, asker: Asker) -> Option<&mut Search<'a>> {
        match asker {
            Asker::Here => Some(&mut self.here),
            Asker::Next => self.next.as_mut(),
            Asker::Phrase(i) => self.phrases[i].search(),
        }
    }

    /// Looks for the words after the prefix, once it is known to be likely enough as a whole word.
    fn look_after(&mut self) {
        let Some(done) = self.done.filter(|_| self.next.is_none()) else { return };
        if self.here.prob(done).0 < DONE_FLOOR {
            return;
        }
        let Some((context, root)) = self.here.reached(self.prompt.prefix) else { return };
        let text = [self.prompt.before, self.prompt.prefix].concat();
        let mut next = Search::new(Query::after(context, End::of(text.as_bytes())), self.vocabulary, &root);
        self.next_goals = self.ask.next_candidates.iter().map(|surface| next.ask(surface)).collect();
        self.next = Some(next);
    }

    /// Begins phrases after the likeliest first words that were reached.
    fn go_on(&mut self) {
        if self.ask.phrase_words == 0 {
            return;
        }
        for (first, follows) in self.firsts() {
            let known = self.phrases.iter().any(|phrase| phrase.first == first && phrase.follows == follows);
            let search = if follows { self.next.as_ref() } else { Some(&self.here) };
            let (false, Some(reached)) = (known, search.and_then(|search| search.reached(&first))) else {
                continue;
            };
            let typed = if follows { self.prompt.prefix } else { "" };
            let text = [self.prompt.before, typed, &first].concat();
            let (most, vocabulary) = (self.ask.phrase_words, self.vocabulary);
            self.phrases.push(Phrase::new(&first, follows, text, reached, most, vocabulary));
        }
    }

    /// The likeliest first words found so far, and whether they follow the prefix.
    fn firsts(&self) -> Vec<(String, bool)> {
        let done = self.done.map_or(0.0, |goal| self.here.prob(goal).0);
        let finishing = self.here.best(PHRASES).into_iter().map(|(surface, prob)| (surface, prob, false));
        let following = self.next.as_ref().map(|next| next.best(PHRASES)).unwrap_or_default();
        let following = following.into_iter().map(|(surface, prob)| (surface, done * prob, true));
        let mut firsts: Vec<(String, f32, bool)> = finishing.chain(following).collect();
        firsts.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        firsts.retain(|(_, prob, _)| *prob >= PHRASE_FLOOR);
        firsts.truncate(PHRASES);
        firsts.into_iter().map(|(surface, _, follows)| (surface, follows)).collect()
    }

    /// Writes down what was found.
    pub(crate) fn tell(self, words: &mut Words) {
        words.mass = self.here.mass();
        words.top = listed(&self.here, self.ask.top);
        words.after_end = if self.prompt.prefix.is_empty() { self.here.message_end() } else { 0.0 };
        let known = |goal: &Option<usize>| goal.map_or((0.0, false), |goal| self.here.prob(goal));
        (words.candidates, words.candidates_exact) = self.goals.iter().map(known).unzip();
        words.done = known(&self.done).0;
        if let Some(next) = &self.next {
            words.after_end = next.message_end();
            words.after_done = listed(next, self.ask.top);
            words.after_done_candidates = self.next_goals.iter().map(|&goal| next.prob(goal).0).collect();
        }
        let firsts = self.firsts();
        let rank = |phrase: &Phrase<'_>| {
            firsts.iter().position(|(first, follows)| *first == phrase.first && *follows == phrase.follows)
        };
        let mut phrases: Vec<_> =
            self.phrases.iter().filter_map(|phrase| Some((rank(phrase)?, phrase))).collect();
        phrases.sort_by_key(|&(rank, _)| rank);
        let phrases = phrases.into_iter().map(|(_, phrase)| Continuation {
            first: phrase.first.clone(),
            follows: phrase.follows,
            words: phrase.words.clone(),
        });
        words.phrases = phrases.filter(|phrase| !phrase.words.is_empty()).collect();
    }
}

fn query(place: &Place, prefix: &str) -> Query {
    Query {
        context: place.tokens.clone(),
        held: place.held.clone(),
        end: place.end,
        prefix: prefix.to_owned(),
    }
}

fn listed(search: &Search<'_>, top: usize) -> Vec<Word> {
    search.best(top).into_iter().map(|(surface, prob)| Word { surface, prob }).collect()
}

/// P of `surface` at `place`; `ahead` is the text from there on, of which each pass runs as much as it holds.
pub(crate) async fn prob(
    steps: &mut Steps<'_>,
    place: &Place,
    surface: &str,
    ahead: &str,
) -> Result<f32, Halt> {
    let root = steps.prefill(&place.tokens).await?;
    let mut search = Search::new(query(place, ""), steps.vocabulary, &root);
    // For the end of the message nothing is typed, but what is held must be spelled before it can be seen.
    let goal = search.ask(surface);
    while let Some(node) = search.insisted(steps, goal) {
        let mut sequences = vec![search.tokens(node)];
        let rest = [place.tokens.as_slice(), &steps.vocabulary.encode(ahead)].concat();
        if rest.starts_with(&sequences[0]) {
            let from = sequences[0].len() + 1;
            // With the node itself a full chunk.
            let to = rest.len().min(from + CHUNK - 2).min(steps.config.n_positions);
            sequences.extend((from..=to).map(|length| rest[..length].to_vec()));
        }
        let borrowed: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let found = steps.pass(&borrowed).await?;
        search.open(node, Some(found[0].as_ref().ok_or(Halt::Full)?));
    }
    Ok(if surface.is_empty() { search.message_end() } else { search.prob(goal).0 })
}
