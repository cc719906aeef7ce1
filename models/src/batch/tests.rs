//! Several conversations at once against each by itself.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::path::Path;
use std::pin::Pin;

use super::*;
use crate::{Ask, Gpt2, Kernel, Options, Prompt, Role, Words, load_runtime};

const DRAFTS: [(&str, &str); 6] = [
    ("Thanks for calling, I can", " he"),
    ("Which city are you travelling", " "),
    ("", "I"),
    ("I found ten restaurants. What about The Old Spaghetti Factory? It is a", " n"),
    ("The patch fixes a race in the scheduler, as it", ""),
    ("Could you please tell me the last four digits of your account", " num"),
];

fn load(kernel: Kernel) -> Gpt2 {
    load_runtime(None).unwrap();
    let bundle = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle"));
    Gpt2::load(bundle, Options { kernel, ..Options::default() }).unwrap()
}

fn ask() -> Ask<'static> {
    Ask { top: 4, max_passes: 6, phrase_words: 3, ..Ask::default() }
}

fn prompt((before, prefix): (&'static str, &'static str)) -> Prompt<'static> {
    Prompt { turns: &[], role: Role::Agent, before, prefix }
}

/// Where activations are rounded to eight bits, one that is just rounded the other way moves a probability by some hundredths.
fn near(p: f32, q: f32) -> bool {
    (p - q).abs() < 0.06 * p.max(q) + 1e-3
}

/// The same answer, but for what rounding moves: rows of a pass are computed by themselves, ONNX Runtime's sums are not always.
fn assert_same(one: &Words, other: &Words) {
    let likely = |words: &Words, surface: &str| {
        let found = words.top.iter().find(|word| word.surface == surface);
        // It may just not be one of the best that were asked for.
        found.or(words.top.last()).map_or(0.0, |word| word.prob)
    };
    assert!(!one.top.is_empty(), "{one:?}");
    for (words, others) in [(one, other), (other, one)] {
        for word in words.top.iter().filter(|word| word.prob > 0.02) {
            assert!(near(word.prob, likely(others, &word.surface)), "{word:?} {one:?} {other:?}");
        }
    }
    assert!(near(one.mass, other.mass), "{one:?} {other:?}");
    assert_eq!((one.context, one.prefilled, one.complete), (other.context, other.prefilled, other.complete));
}

/// Asks about all drafts at once, and how often something was run. What the first `late` questions want run waits until the others
/// want nothing.
fn answers(gpt2: &mut Gpt2, caches: &mut [KvCache], late: usize) -> (Vec<Words>, usize) {
    let (reader, mut runner) = gpt2.split();
    let desks: Vec<Desk> = DRAFTS.iter().map(|_| Desk::default()).collect();
    let prompts = DRAFTS.map(prompt);
    let (ask, never) = (ask(), |_: usize| false);
    let mut questions: Vec<Pin<Box<dyn Future<Output = Words>>>> = Vec::new();
    for ((desk, cache), prompt) in desks.iter().zip(caches).zip(&prompts) {
        questions.push(Box::pin(reader.words(desk, cache, prompt, &ask, &never)));
    }
    let mut found: Vec<Option<Words>> = vec![None; DRAFTS.len()];
    let mut runs = 0;
    while found.iter().any(Option::is_none) {
        for (question, found) in questions.iter_mut().zip(&mut found) {
            if found.is_none()
                && let Poll::Ready(words) = question.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                *found = Some(words);
            }
        }
        let early: Vec<&Desk> = desks.iter().skip(late).filter(|desk| desk.tokens() > 0).collect();
        let all: Vec<&Desk> = desks.iter().filter(|desk| desk.tokens() > 0).collect();
        let run = if early.is_empty() { all } else { early };
        runs += usize::from(!run.is_empty());
        runner.run(&run);
    }
    (found.into_iter().map(Option::unwrap).collect(), runs)
}

#[test]
fn several_conversations_at_once_are_answered_as_each_alone() {
    for kernel in [Kernel::Own, Kernel::Runtime] {
        let mut gpt2 = load(kernel);
        let alone: Vec<Words> = DRAFTS
            .iter()
            .map(|draft| gpt2.words(&mut KvCache::default(), &prompt(*draft), &ask(), &|_| false))
            .collect();
        for late in [0, 2] {
            let mut caches: Vec<KvCache> = DRAFTS.iter().map(|_| KvCache::default()).collect();
            let (found, runs) = answers(&mut gpt2, &mut caches, late);
            found.iter().zip(&alone).for_each(|(found, alone)| assert_same(found, alone));
            let passes = |words: &Words| words.passes as usize + usize::from(words.prefilled > 0);
            let by_itself: usize = alone.iter().map(passes).sum();
            assert!(gpt2.kernel() == Kernel::Runtime || runs < by_itself, "{runs} runs for {by_itself}");
            // What is kept is of the conversation that it is kept for.
            for (cache, draft) in caches.iter_mut().zip(DRAFTS) {
                cache.forget_distributions();
                let again = gpt2.words(cache, &prompt(draft), &ask(), &|_| false);
                let cold = gpt2.words(&mut KvCache::default(), &prompt(draft), &ask(), &|_| false);
                assert_same(&Words { prefilled: cold.prefilled, ..again }, &cold);
            }
        }
    }
}

#[test]
fn an_order_that_waits_is_withdrawn_when_it_is_to_stop() {
    let mut gpt2 = load(Kernel::Own);
    let stopped = Cell::new(false);
    let stop = |_: usize| stopped.get();
    let (desk, mut cache) = (Desk::default(), KvCache::default());
    let mut context = Context::from_waker(Waker::noop());
    {
        let (reader, mut runner) = gpt2.split();
        let (prompt, ask) = (prompt(DRAFTS[0]), ask());
        let mut question = pin!(reader.words(&desk, &mut cache, &prompt, &ask, &stop));
        assert!(question.as_mut().poll(&mut context).is_pending());
        runner.run(&[&desk]);
        assert!(question.as_mut().poll(&mut context).is_pending(), "the search wants a pass");
        assert!(
            desk.tokens() > 0 && question.as_mut().poll(&mut context).is_pending(),
            "it waits for its turn"
        );
        stopped.set(true);
        let Poll::Ready(words) = question.as_mut().poll(&mut context) else { panic!("it goes on") };
        assert!(!words.complete && words.prefilled > 0 && words.mass > 0.0, "{words:?}");
        assert_eq!(desk.tokens(), 0);
    }
    let after = gpt2.words(&mut cache, &prompt(DRAFTS[0]), &ask(), &|_| false);
    assert_eq!(after.prefilled, 0, "what was run is kept");
    let cold = gpt2.words(&mut KvCache::default(), &prompt(DRAFTS[0]), &ask(), &|_| false);
    assert_same(&Words { prefilled: cold.prefilled, ..after }, &cold);
}

#[test]
fn keys_and_values_can_be_given_up_and_run_again() {
    let mut gpt2 = load(Kernel::Own);
    let mut cache = KvCache::default();
    let tokens = gpt2.tokens(&mut cache, &prompt(DRAFTS[3]));
    let first = gpt2.distribution(&mut cache, &tokens);
    let width = gpt2.split().0.slot_width;
    let (cut, wanted) = (tokens.len() - 3, vec![tokens.len() - 1]);
    cache.unrun(cut, width);
    // As a run that failed half-way leaves it, and the next one takes it up.
    let desk = Desk::default();
    let (_, mut runner) = gpt2.split();
    let (mut cache, found) = runner.alone(&desk, desk.run(Order { cache, past: cut, wanted }, &|_| false));
    let found = found.unwrap();
    assert!(crate::parity::kl(&first, &found[0]) < 1e-2);
    cache.forget_distributions();
    assert!(crate::parity::kl(&first, &gpt2.distribution(&mut cache, &tokens)) < 1e-2);
}
