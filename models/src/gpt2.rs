//! GPT-2 as a predictor of words.

use std::path::Path;

use crate::Error;
use crate::batch::{Desk, Runner};
use crate::cache::KvCache;
use crate::config::Config;
use crate::context::Prompt;
use crate::kernel::{Kernel, fastest};
use crate::reader::Reader;
use crate::session::Session;
use crate::vocabulary::Vocabulary;

/// How to run the model.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Threads of ONNX Runtime's operators in one session. One is best for a model this small: several sessions use several cores better.
    pub threads: usize,
    /// Who computes products with 4-bit weights, and attention.
    pub kernel: Kernel,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, kernel: Kernel::Fastest }
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
    /// The most passes of the network, beside the prefill; see the README for what one takes. Without any, a word is as likely as its
    /// tokens that were run already have it.
    pub max_passes: usize,
    /// Whether a pass opens one node a search, the likeliest, and runs nothing ahead: half the tokens, and three such passes find about
    /// what three others do.
    pub narrow: bool,
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

/// The likeliest words after a first word.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The surface it goes on from, one of `top` or of `after_done`.
    pub first: String,
    /// Whether that one is of `after_done`.
    pub follows: bool,
    /// The words, each with its probability given all before it.
    pub words: Vec<Word>,
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
    /// What goes on after the likeliest words of `top` and `after_done`, likeliest first.
    pub phrases: Vec<Continuation>,
    /// P(the message ends here): given what is finished for an empty prefix, else given that the prefix is a whole word.
    pub after_end: f32,
    /// Passes of the network.
    pub passes: u32,
    /// Tokens that went through the network in them.
    pub tokens: u32,
    /// Tokens of context.
    pub context: u32,
    /// Those of them that had to be run first.
    pub prefilled: u32,
    /// Whether the work ended by itself and not because it was stopped.
    pub complete: bool,
}

/// A GPT-2 with its tokenizer. One for each inference thread: it is `Send`, and running it takes `&mut`.
pub struct Gpt2 {
    reader: Reader,
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
        match options.kernel {
            Kernel::Own => Self::load_with(dir, options, true),
            Kernel::Runtime => Self::load_with(dir, options, false),
            Kernel::Fastest => fastest(dir, options),
        }
    }

    /// Whose operators compute products with 4-bit weights, and attention: never [`Kernel::Fastest`].
    pub fn kernel(&self) -> Kernel {
        if self.session.is_own() { Kernel::Own } else { Kernel::Runtime }
    }

    /// Loads the model; with our own operators if that is wanted and there is something for it to do.
    pub(crate) fn load_with(dir: &Path, options: Options, own: bool) -> Result<Self, Error> {
        let config = Config::load(&dir.join("gpt2.json"))?;
        let vocabulary = Vocabulary::load(&dir.join("tokenizer.json"), &config)?;
        let session = Session::load(&dir.join("gpt2.onnx"), &config, options.threads, own)?;
        let slot_width = session.slot_width();
        let reader = Reader { config, vocabulary, slot_width };
        let mut gpt2 = Self { reader, session, failure: None };
        // The first run of each width allocates; and a graph that cannot run must fail here, not at a keystroke.
        gpt2.warm_up().map_err(Error::Runtime)?;
        Ok(gpt2)
    }

    fn warm_up(&mut self) -> Result<(), String> {
        let mut cache = KvCache::default();
        let text = "Thanks for calling, I can help you with that. ".repeat(3);
        let prompt = Prompt { turns: &[], role: crate::Role::Agent, before: &text, prefix: "" };
        self.words(&mut cache, &prompt, &Ask { top: 1, max_passes: 2, ..Ask::default() }, &|_| false);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// What ONNX Runtime said if it failed since the last call; answers are incomplete then.
    pub fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// What asks questions, several at a time, and what runs the network for them.
    pub fn split(&mut self) -> (&Reader, Runner<'_>) {
        let Self { reader, session, failure } = self;
        let starts = reader.vocabulary.starts();
        (reader, Runner { session, starts, failure })
    }

    /// Runs the conversation and the draft into `cache` before anything is asked, and says whether it came to the end.
    /// `stop` is asked before each run, given the number of its tokens.
    pub fn prefill(
        &mut self,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        stop: &dyn Fn(usize) -> bool,
    ) -> bool {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        runner.alone(&desk, reader.prefill(&desk, cache, prompt, stop))
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
        stop: &dyn Fn(usize) -> bool,
    ) -> Words {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        runner.alone(&desk, reader.words(&desk, cache, prompt, ask, stop))
    }

    /// log P of each of the `surfaces` that follow `prompt.before`, given all before it; the empty surface stands for
    /// the end of the message. `None` from where the steps, the positions or the patience of `stop` ran out.
    ///
    /// The same search as [`Gpt2::words`] with an empty prefix, so the two agree; about a pass for 16 tokens.
    pub fn losses(
        &mut self,
        cache: &mut KvCache,
        prompt: &Prompt<'_>,
        surfaces: &[&str],
        max_passes: usize,
        stop: &dyn Fn(usize) -> bool,
    ) -> Vec<Option<f32>> {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        runner.alone(&desk, reader.losses(&desk, cache, prompt, surfaces, max_passes, stop))
    }

    /// The distribution after exactly `tokens`, for tests.
    #[cfg(test)]
    pub(crate) fn distribution(
        &mut self,
        cache: &mut KvCache,
        tokens: &[u32],
    ) -> std::sync::Arc<crate::distribution::Distribution> {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        let mut steps = reader.steps(&desk, cache, 0, &|_| false);
        let found = runner.alone(&desk, steps.prefill(tokens));
        found.unwrap_or_else(|halt| panic!("{halt:?} {:?}", self.failure))
    }

    /// The distributions after each of `sequences`, in one pass, for tests.
    #[cfg(test)]
    pub(crate) fn distributions(
        &mut self,
        cache: &mut KvCache,
        sequences: &[Vec<u32>],
    ) -> Vec<std::sync::Arc<crate::distribution::Distribution>> {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        let mut steps = reader.steps(&desk, cache, 1, &|_| false);
        let borrowed: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let found = runner.alone(&desk, steps.pass(&borrowed));
        let found = found.unwrap_or_else(|halt| panic!("{halt:?} {:?}", self.failure));
        found.into_iter().map(|found| found.expect("there is room")).collect()
    }

    /// How many of the distributions after `sequences` one pass gives, for benches.
    #[doc(hidden)]
    pub fn pass(&mut self, cache: &mut KvCache, sequences: &[Vec<u32>]) -> usize {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        let mut steps = reader.steps(&desk, cache, 1, &|_| false);
        let borrowed: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        runner.alone(&desk, steps.pass(&borrowed)).map_or(0, |found| found.iter().flatten().count())
    }

    /// How many of the distributions after the tokens of several conversations one pass of each gives, all in one run, for benches.
    #[doc(hidden)]
    pub fn pass_of_each(&mut self, conversations: &mut [(KvCache, Vec<u32>)]) -> usize {
        let (reader, mut runner) = self.split();
        let desks: Vec<Desk> = conversations.iter().map(|_| Desk::default()).collect();
        let mut passes: Vec<_> = desks
            .iter()
            .zip(conversations)
            .map(|(desk, (cache, tokens))| {
                Box::pin(async move {
                    let mut steps = reader.steps(desk, cache, 1, &|_| false);
                    steps.pass(&[tokens.as_slice()]).await.map_or(0, |found| found.iter().flatten().count())
                })
            })
            .collect();
        runner.all(&desks.iter().collect::<Vec<_>>(), &mut passes).into_iter().sum()
    }

    /// The `count` likeliest tokens one after the other behind `context`, ties by token id, and the passes that took; `draft` is what
    /// they may be. To measure by.
    #[doc(hidden)]
    pub fn greedy(
        &mut self,
        cache: &mut KvCache,
        context: &[u32],
        draft: &[u32],
        count: usize,
    ) -> (Vec<u32>, u32) {
        let (desk, (reader, mut runner)) = (Desk::default(), self.split());
        runner.alone(&desk, reader.greedy(&desk, cache, context, draft, count))
    }

    /// The tokens of a prompt's context, for tests and benches.
    #[doc(hidden)]
    pub fn tokens(&mut self, cache: &mut KvCache, prompt: &Prompt<'_>) -> Vec<u32> {
        self.reader.place(cache, prompt).tokens
    }

    /// The tokens, for tests.
    #[cfg(test)]
    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.reader.vocabulary
    }
}
