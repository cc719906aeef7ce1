//! GPT-2 as a predictor of words.

use std::path::Path;
use std::sync::Arc;

use crate::boundary::End;
use crate::cache::KvCache;
use crate::config::Config;
use crate::context::{Place, Prompt};
use crate::distribution::Distribution;
use crate::search::{Goal, Query, Search};
use crate::session::Session;
use crate::step::{Halt, Steps};
use crate::vocabulary::Vocabulary;
use crate::{Error, phrase};

/// Bytes of a prefix beyond which no word is foreseen.
const LONGEST_PREFIX: usize = 64;
/// What follows a prefix is looked for if the prefix is a whole word at least this likely.
const DONE_FLOOR: f32 = 0.05;
/// A first word less likely than this is not worth the steps of going on after it.
const PHRASE_FLOOR: f32 = 0.2;

/// How to run the model.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Threads of one session. One is best for a model this small: several sessions use several cores better.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// What is wanted of one place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Surfaces that start with the prefix, whose probability is wanted.
    pub candidates: &'a [&'a str],
    /// Surfaces that may follow the prefix if it is a whole word, whose probability is wanted.
    pub next_candidates: &'a [&'a str],
    /// How many words to find.
    pub top: usize,
    /// The most steps of the network, beside the prefill; one is about 0.4 ms.
    pub max_steps: usize,
    /// The most words of continuation.
    pub phrase_words: usize,
}

/// A surface and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The surface, with its leading space if it has one.
    pub surface: String,
    /// Its probability given all before it; see the field of [`Words`].
    pub prob: f32,
}

/// What the model says about one place. Empty (`mass` 0) when it has nothing to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// P(the surface starts with the prefix | what is finished).
    pub mass: f32,
    /// The best words longer than the prefix, and P(word and it ends there | prefix).
    pub top: Vec<Word>,
    /// P(candidate and it ends there | prefix), in the order asked; 0 for one that does not start with the prefix.
    pub candidates: Vec<f32>,
    /// Whether each of `candidates` is known. If not, it was too unlikely or too late to be worth a step, and its
    /// figure is P(the tokens reached) · 0.8, and · 0.1 for each token not reached.
    pub candidates_exact: Vec<bool>,
    /// P(the prefix is itself the whole word | prefix); 0 for `""` and `" "`.
    pub done: f32,
    /// The best next words if the prefix is a whole word, and their probabilities given that.
    pub after_done: Vec<Word>,
    /// P(next candidate | the prefix is a whole word), in the order asked; empty if that is too unlikely to look.
    pub after_done_candidates: Vec<f32>,
    /// The likeliest words after `top[0]`, or after `after_done[0]` if `phrase_after_done`; each given all before it.
    pub phrase: Vec<Word>,
    /// Whether the prefix as a whole word is likelier than `top[0]`, so that the phrase follows `after_done[0]`.
    pub phrase_after_done: bool,
    /// P(the message ends here): given what is finished for an empty prefix, else given that the prefix is a whole word.
    pub after_end: f32,
    /// Steps of the network.
    pub steps: u32,
    /// Tokens of context that had to be run first.
    pub prefilled: u32,
    /// Whether the work ended by itself and not because it was stopped.
    pub complete: bool,
}

/// A GPT-2 with its tokenizer. One for each inference thread: it is `Send`, and running it takes `&mut`.
pub struct Gpt2 {
    config: Config,
    vocabulary: Vocabulary,
    session: Session,
    failure: Option<String>,
}

impl Gpt2 {
    /// Loads `gpt2.json`, `tokenizer.json` and `gpt2.onnx` from the folder `dir`.
    ///
    /// # Errors
    /// [`Error::RuntimeNotLoaded`] before [`load_runtime`](crate::load_runtime); [`Error::Bundle`] names the file that is missing or
    /// does not fit the others.
    pub fn load(dir: &Path, options: Options) -> Result<Self, Error> {
        let config = Config::load(&dir.join("gpt2.json"))?;
        let vocabulary = Vocabulary::load(&dir.join("tokenizer.json"), &config)?;
        let session = Session::load(&dir.join("gpt2.onnx"), &config, &options)?;
        let mut gpt2 = Self { config, vocabulary, session, failure: None };
        // The first run of each width allocates; and a graph that cannot run must fail here, not at a keystroke.
        gpt2.warm_up().map_err(Error::Runtime)?;
        Ok(gpt2)
    }

    fn warm_up(&mut self) -> Result<(), String> {
        let mut cache = self.new_cache();
        let text = "Thanks for calling, I can help you with that. ".repeat(3);
        let prompt = Prompt { turns: &[], role: crate::Role::Agent, before: &text, prefix: "" };
        self.words(&mut cache, &prompt, &Ask { top: 1, max_steps: 2, ..Ask::default() }, &|| false);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// A cache for one conversation.
    ///
    /// # Panics
    /// If ONNX Runtime cannot allocate it: the process is out of memory.
    pub fn new_cache(&self) -> KvCache {
        let tensors = self
            .session
            .new_keys_and_values(&self.config)
            .expect("a KV cache of a few megabytes fits in memory");
        KvCache::new(tensors, self.config.vocab_size)
    }

    /// What ONNX Runtime said if it failed since the last call; answers are incomplete then.
    pub fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Runs the conversation and the draft into `cache` before anything is asked, and says whether it came to the end.
    pub fn prefill(&mut self, cache: &mut KvCache, prompt: &Prompt<'_>, stop: &dyn Fn() -> bool) -> bool {
        let (mut steps, place) = self.begin(cache, prompt, 0, stop);
        let done = steps.prefill(&place.tokens).is_ok();
        self.failure = steps.failure.or(self.failure.take());
        done
    }

    /// What comes next at the place `prompt` names.
    ///
    /// `stop` is asked before every step and every 16 tokens of prefill; when it says so, what was found until then is
    /// returned and `cache` keeps what was run. Never fails: with nothing to say, the answer is empty.
    pub fn words(
        &mut self,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        ask: &Ask<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Words {
        let mut words =
            Words { candidates: vec![0.0; ask.candidates.len()], complete: true, ..Words::default() };
        words.candidates_exact = vec![false; ask.candidates.len()];
        if prompt.prefix.len() > LONGEST_PREFIX {
            return words;
        }
        let (mut steps, place) = self.begin(cache, prompt, ask.max_steps, stop);
        if let Err(Halt::Stopped | Halt::Failed) = answer(&mut steps, &place, prompt, ask, &mut words) {
            words.complete = false;
        }
        (words.steps, words.prefilled) = (steps.taken, steps.prefilled);
        self.failure = steps.failure.or(self.failure.take());
        words
    }

    /// log P of each of the `surfaces` that follow `prompt.before`, given all before it; the empty surface stands for
    /// the end of the message. `None` from where the steps, the positions or the patience of `stop` ran out.
    ///
    /// The same search as [`Gpt2::words`] with an empty prefix, so the two agree; about a step a token.
    pub fn losses(
        &mut self,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        surfaces: &[&str],
        max_steps: usize,
        stop: &dyn Fn() -> bool,
    ) -> Vec<Option<f32>> {
        let mut before = prompt.before.to_owned();
        let mut losses = Vec::with_capacity(surfaces.len());
        let mut left = max_steps;
        for surface in surfaces {
            let here = Prompt { before: &before, prefix: "", ..*prompt };
            let (mut steps, place) = self.begin(cache, &here, left, stop);
            let loss = loss(&mut steps, &place, surface);
            left = steps.left.saturating_sub(usize::from(steps.prefilled > 0));
            self.failure = steps.failure.or(self.failure.take());
            let Ok(loss) = loss else { break };
            losses.push(Some(loss));
            before.push_str(surface);
        }
        losses.resize(surfaces.len(), None);
        losses
    }

    /// The distribution after exactly `tokens`, for tests.
    #[cfg(test)]
    pub(crate) fn distribution(&mut self, cache: &mut KvCache, tokens: &[u32]) -> Arc<Distribution> {
        let prompt = Prompt { turns: &[], role: crate::Role::Author, before: "", prefix: "" };
        let (mut steps, _) = self.begin(cache, &prompt, 0, &|| false);
        steps.prefill(tokens).unwrap_or_else(|halt| panic!("{halt:?} {:?}", steps.failure))
    }

    /// The tokens of a prompt's context, for tests.
    #[cfg(test)]
    pub(crate) fn context(&mut self, cache: &mut KvCache, prompt: &Prompt<'_>) -> Vec<u32> {
        self.begin(cache, prompt, 0, &|| false).1.tokens
    }

    /// The tokens, for tests.
    #[cfg(test)]
    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn begin<'a>(
        &'a mut self,
        cache: &'a mut KvCache,
        prompt: &Prompt<'_>,
        max_steps: usize,
        stop: &'a dyn Fn() -> bool,
    ) -> (Steps<'a>, Place) {
        let Self { config, vocabulary, session, .. } = self;
        let place = cache.encoded().place(prompt, vocabulary, &config.special_tokens, config.n_positions);
        let steps = Steps {
            config,
            vocabulary,
            session,
            cache,
            stop,
            left: max_steps,
            taken: 0,
            prefilled: 0,
            failure: None,
        };
        (steps, place)
    }
}

fn answer(
    steps: &mut Steps<'_>,
    place: &Place,
    prompt: &Prompt<'_>,
    ask: &Ask<'_>,
    words: &mut Words,
) -> Result<(), Halt> {
    let vocabulary = steps.vocabulary;
    let root = steps.prefill(&place.tokens)?;
    // The phrase gets what it is likely to need, a token or two a word; the words themselves come first.
    let reserve = (2 * ask.phrase_words).min(ask.max_steps / 3);
    steps.left = ask.max_steps - reserve;

    let query = Query { context: &place.tokens, held: &place.held, end: place.end, prefix: prompt.prefix };
    let mut search = Search::new(query, vocabulary, &root);
    let whole = !prompt.prefix.trim().is_empty();
    let mut goals: Vec<Goal> = ask
        .candidates
        .iter()
        .copied()
        .chain(whole.then_some(prompt.prefix))
        .filter(|surface| surface.starts_with(prompt.prefix) && !surface.is_empty())
        .map(|surface| search.goal(surface))
        .collect();
    let halted = search.run(steps, ask.top, &mut goals);

    words.mass = search.mass();
    words.top = listed(&search, ask.top);
    words.after_end = if prompt.prefix.is_empty() { search.message_end() } else { 0.0 };
    let mut marks = goals.iter();
    for (i, surface) in ask.candidates.iter().enumerate() {
        if surface.starts_with(prompt.prefix)
            && !surface.is_empty()
            && let Some(goal) = marks.next()
        {
            (words.candidates[i], words.candidates_exact[i]) = search.prob(goal);
        }
    }
    let done = marks.next();
    words.done = done.map_or(0.0, |goal| search.prob(goal).0);
    words.phrase_after_done = words.done > words.top.first().map_or(0.0, |word| word.prob);
    if let Err(halt @ (Halt::Stopped | Halt::Failed)) = halted {
        return Err(halt);
    }

    let text = [prompt.before, prompt.prefix].concat();
    let reached = done.filter(|_| words.done >= DONE_FLOOR).and_then(|goal| search.reached(goal));
    if let Some((path, distribution)) = reached {
        let context = [&place.tokens, path].concat();
        after_done(steps, &context, End::of(text.as_bytes()), distribution, ask, words)?;
    }
    steps.left += reserve;
    let (mut text, mut surface) = (prompt.before.to_owned(), String::new());
    let mut first = words.top.first();
    if words.phrase_after_done {
        text.push_str(prompt.prefix);
        surface.push_str(prompt.prefix);
        first = words.after_done.first();
    }
    if let (Some(first), 1..) = (first.filter(|word| word.prob >= PHRASE_FLOOR), ask.phrase_words) {
        text.push_str(&first.surface);
        surface.push_str(&first.surface);
        let context =
            [place.tokens.clone(), vocabulary.encode(&[place.held.as_str(), &surface].concat())].concat();
        words.phrase = phrase::follow(steps, &context, &text, ask.phrase_words);
    }
    Ok(())
}

/// The words after the prefix, given that it is a whole word.
fn after_done(
    steps: &mut Steps<'_>,
    context: &[u32],
    end: End,
    root: &Arc<Distribution>,
    ask: &Ask<'_>,
    words: &mut Words,
) -> Result<(), Halt> {
    let mut search = Search::new(Query { context, held: "", end, prefix: "" }, steps.vocabulary, root);
    let mut goals: Vec<Goal> = ask.next_candidates.iter().map(|surface| search.goal(surface)).collect();
    let halted = search.run(steps, ask.top, &mut goals);
    words.after_end = search.message_end();
    words.after_done = listed(&search, ask.top);
    words.after_done_candidates = goals.iter().map(|goal| search.prob(goal).0).collect();
    match halted {
        Err(halt @ (Halt::Stopped | Halt::Failed)) => Err(halt),
        _ => Ok(()),
    }
}

fn listed(search: &Search<'_>, top: usize) -> Vec<Word> {
    search.best(top).into_iter().map(|(surface, prob)| Word { surface, prob }).collect()
}

fn loss(steps: &mut Steps<'_>, place: &Place, surface: &str) -> Result<f32, Halt> {
    let root = steps.prefill(&place.tokens)?;
    let query = Query { context: &place.tokens, held: &place.held, end: place.end, prefix: "" };
    let mut search = Search::new(query, steps.vocabulary, &root);
    if surface.is_empty() {
        // Nothing is typed, but what is held must be spelled before it can be seen whether the message ends.
        let mut held = search.goal("");
        search.insist(steps, &mut held)?;
        return Ok(search.message_end().max(f32::MIN_POSITIVE).ln());
    }
    let mut goal = search.goal(surface);
    search.insist(steps, &mut goal)?;
    Ok(search.prob(&goal).0.max(f32::MIN_POSITIVE).ln())
}
