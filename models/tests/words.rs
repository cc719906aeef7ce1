//! What a caller sees of the shipped model.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::path::Path;

use foretype_models::{Ask, Gpt2, KvCache, Options, Prompt, Role, Words, load_runtime};
use proptest::prelude::*;

fn load() -> Gpt2 {
    load_runtime(None).unwrap_or_else(|error| panic!("{error}"));
    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/bundle");
    Gpt2::load(Path::new(bundle), Options::default()).unwrap()
}

fn agent<'a>(before: &'a str, prefix: &'a str) -> Prompt<'a> {
    Prompt { turns: &[], role: Role::Agent, before, prefix }
}

const ASK: Ask<'static> =
    Ask { candidates: &[], next_candidates: &[], top: 3, max_passes: 8, narrow: false, phrase_words: 3 };

fn say(gpt2: &mut Gpt2, cache: &mut KvCache, before: &str, prefix: &str) -> Words {
    gpt2.words(cache, &agent(before, prefix), &ASK, &|_| false)
}

/// Asserts that two answers agree as far as eight-bit activations and half-precision keys and values let them: one way to run
/// the same tokens differs from another by up to 1e-3 nats, a few per cent of a probability.
fn assert_close(a: &Words, b: &Words) {
    assert!((a.mass - b.mass).abs() < 0.1 * a.mass + 1e-3, "{a:?}\n{b:?}");
    if a.mass.max(b.mass) < 1e-6 {
        // Nothing like it was foreseen: which spellings of it are found depends on what was opened first.
        return;
    }
    assert!((a.done - b.done).abs() < 0.02, "{a:?}\n{b:?}");
    for word in &a.top {
        let same = b.top.iter().find(|other| other.surface == word.surface).map_or(0.0, |other| other.prob);
        // The last of the top may change places with the next, which is as likely.
        let least = b.top.last().map_or(0.0, |last| last.prob);
        assert!(
            (word.prob - same).abs() < 0.04 || (word.prob - least).abs() < 0.04,
            "{word:?}\n{a:?}\n{b:?}"
        );
    }
}

#[test]
fn finishes_the_sentence_of_the_manual() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let words = say(&mut gpt2, &mut cache, "Thanks for calling, I can", " he");
    assert_eq!(words.top[0].surface, " help");
    assert!(words.top[0].prob > 0.9 && words.complete, "{words:?}");
    assert!(words.phrases[0].first == " help" && !words.phrases[0].follows, "{words:?}");
    let phrase: String = words.phrases[0].words.iter().map(|word| word.surface.as_str()).collect();
    assert!(phrase.starts_with(" you with"), "{phrase}");
}

#[test]
fn a_whole_word_is_done_and_says_what_follows() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let ask = Ask { candidates: &[" helping"], next_candidates: &[" you", " zebra"], ..ASK };
    let words = gpt2.words(&mut cache, &agent("Thanks for calling, I can", " help"), &ask, &|_| false);
    assert!(words.done > 0.9 && words.phrases[0].follows, "{words:?}");
    assert_eq!(words.after_done[0].surface, " you");
    let [you, zebra] = words.after_done_candidates[..] else { panic!("{words:?}") };
    assert!(
        (you - words.after_done[0].prob).abs() < 1e-6 && zebra < 1e-3 && words.candidates[0] < 0.05,
        "{words:?}"
    );
    assert!(words.after_end > 0.0 && words.after_end < 0.1, "{words:?}");
    // The same place, one key later: the next words given the space.
    let spaced = say(&mut gpt2, &mut cache, "Thanks for calling, I can help", " ");
    assert_eq!(spaced.top[0].surface, " you");
    assert_eq!(spaced.passes, 0, "everything was known: {spaced:?}");
}

#[test]
fn the_words_of_a_place_are_a_distribution() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let ask = Ask { top: 30, max_passes: 200, phrase_words: 0, ..ASK };
    for (before, prefix) in
        [("Thanks for calling, I can", " he"), ("I can help you with that", ""), ("Wait..", ".")]
    {
        let words = gpt2.words(&mut cache, &agent(before, prefix), &ask, &|_| false);
        let sum = words.top.iter().map(|word| word.prob).sum::<f32>() + words.done;
        let sum = if prefix.is_empty() { sum + words.after_end } else { sum };
        assert!((0.5..=1.01).contains(&sum), "{before}|{prefix}: {sum}");
        assert!(words.mass > 0.0 && words.mass <= 1.0);
    }
}

#[test]
fn the_end_of_a_message_is_foreseen() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let open = say(&mut gpt2, &mut cache, "Is there anything", "").after_end;
    let closed = say(&mut gpt2, &mut cache, "Is there anything else I can help you with?", "").after_end;
    assert!(open < 0.02 && closed > 0.8, "{open} {closed}");
}

#[test]
fn a_warm_cache_says_what_a_cold_one_says() {
    let mut gpt2 = load();
    let text = "Sure, it's (about) 3.5 miles... I don't know, unbelievable! foo_bar";
    // Enough for both to finish: with fewer, the warm one gets further.
    let ask = Ask { max_passes: 200, ..ASK };
    let mut warm = KvCache::default();
    for at in (0..=text.len()).step_by(3) {
        let (before, prefix) = text[..at].split_at(text[..at].rfind(' ').unwrap_or(0));
        let typed = gpt2.words(&mut warm, &agent(before, prefix), &ask, &|_| false);
        let mut cold = KvCache::default();
        assert_close(&typed, &gpt2.words(&mut cold, &agent(before, prefix), &ask, &|_| false));
    }
}

#[test]
fn narrow_passes_find_the_same_in_more_runs_and_fewer_tokens() {
    let mut gpt2 = load();
    let candidates = &[" do", " assist"];
    let mut ask = |narrow, max_passes, prefix| {
        let ask = Ask { candidates, narrow, max_passes, ..ASK };
        gpt2.words(&mut KvCache::default(), &agent("Thanks for calling, I can", prefix), &ask, &|_| false)
    };
    for prefix in [" ", " he"] {
        let (wide, narrow) = (ask(false, 200, prefix), ask(true, 200, prefix));
        assert_close(&wide, &narrow);
        assert!(narrow.passes >= wide.passes && narrow.tokens <= wide.tokens, "{wide:?}\n{narrow:?}");
        // Without a pass there are estimates of what the first tokens say.
        let none = ask(true, 0, prefix);
        assert!(none.passes == 0 && none.mass > 0.0 && none.candidates_exact == [false; 2], "{none:?}");
    }
    assert!(ask(true, 2, " ").tokens < ask(false, 2, " ").tokens, "what two of them take");
}

#[test]
fn a_thinned_cache_says_the_same_and_holds_the_text() {
    let mut gpt2 = load();
    let text = "Sure, I can help you with that. Could you please tell me the address";
    let ask = Ask { max_passes: 200, ..ASK };
    let (mut thin, mut whole) = (KvCache::default(), KvCache::default());
    for at in (1..=text.len()).step_by(3) {
        let (before, prefix) = text[..at].split_at(text[..at].rfind(' ').unwrap_or(0));
        let prompt = agent(before, prefix);
        let [typed, expected] =
            [&mut thin, &mut whole].map(|cache| gpt2.words(cache, &prompt, &ask, &|_| false));
        assert_close(&typed, &expected);
        thin.thin();
        let text =
            gpt2.words(&mut KvCache::default(), &prompt, &Ask { max_passes: 0, ..ask }, &|_| false).context;
        assert!(thin.len() <= text as usize, "what was only looked into is given up");
    }
    assert!(2 * thin.bytes() < whole.bytes(), "{} {}", thin.bytes(), whole.bytes());
    let mut nothing = KvCache::default();
    nothing.thin();
    assert!(nothing.is_empty());
}

#[test]
fn a_stop_keeps_the_cache_usable() {
    let mut gpt2 = load();
    let long = "The weather in San Francisco will be sunny with a high of 72 degrees. ".repeat(3);
    let turns = [(Role::Customer, long.trim_end())];
    let prompt = Prompt { turns: &turns, ..agent("Thanks for calling, I can", " he") };
    let mut fresh = KvCache::default();
    let expected = gpt2.words(&mut fresh, &prompt, &ASK, &|_| false);
    assert!(expected.prefilled > 32, "{expected:?}");
    for allowed in 0..5 {
        let mut cache = KvCache::default();
        let asked = Cell::new(0);
        let stop = |_| {
            asked.set(asked.get() + 1);
            asked.get() > allowed
        };
        let stopped = gpt2.words(&mut cache, &prompt, &ASK, &stop);
        assert!(!stopped.complete && cache.len() <= 16 * allowed, "{stopped:?}");
        let again = gpt2.words(&mut cache, &prompt, &ASK, &|_| false);
        assert!(again.complete && again.prefilled <= expected.prefilled);
        assert_close(&again, &expected);
    }
}

#[test]
fn losses_agree_with_what_was_foreseen() {
    let mut gpt2 = load();
    let surfaces = ["Is", " there", " anything", " else", " I", " can", " help", " you", " with", "?", ""];
    let losses = gpt2.losses(&mut KvCache::default(), &agent("", ""), &surfaces, 64, &|_| false);
    let mut before = String::new();
    for (surface, loss) in surfaces.iter().zip(&losses) {
        let loss = loss.unwrap();
        let ask = Ask { candidates: &[surface], max_passes: 64, ..ASK };
        let words = gpt2.words(&mut KvCache::default(), &agent(&before, ""), &ask, &|_| false);
        let prob = if surface.is_empty() { words.after_end } else { words.candidates[0] };
        let known = surface.is_empty() || words.candidates_exact[0];
        assert!(!known || (prob.ln() - loss).abs() < 0.1, "{surface}: {} {loss}", prob.ln());
        before.push_str(surface);
    }
    assert!(losses.iter().flatten().sum::<f32>() > -14.0, "a common sentence: {losses:?}");
    // A pass holds 16 tokens.
    let long = surfaces[..10].repeat(4);
    let few = gpt2.losses(&mut KvCache::default(), &agent("", ""), &long, 2, &|_| false);
    assert!(few[9].is_some() && few[39].is_none() && few.len() == long.len(), "{few:?}");
}

#[test]
fn punctuation_glued_into_one_token_is_still_several_words() {
    let mut gpt2 = load();
    let ask = Ask { candidates: &["."], ..ASK };
    // "..." is one token: after "Wait.." a third point is likely only if the points are taken back.
    let words = gpt2.words(&mut KvCache::default(), &agent("Wait..", ""), &ask, &|_| false);
    assert!(words.candidates[0] > 0.2, "{words:?}");
    assert!(words.top.iter().all(|word| word.surface != ".." && word.surface != "..."), "{words:?}");
}

#[test]
fn behind_a_prefix_nobody_writes_no_word_has_a_share_of_zero() {
    let mut gpt2 = load();
    let words = gpt2.words(&mut KvCache::default(), &agent("", ".yb{😀 é0"), &ASK, &|_| false);
    assert!(words.top.iter().all(|word| word.prob > 0.0), "{words:?}");
}

#[test]
fn strange_text_gets_an_answer_or_an_empty_one() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let long = "x".repeat(10_000);
    for (before, prefix) in [
        ("", ""),
        ("", " "),
        ("a\0b\u{7}", "\0"),
        ("hi 👩‍👩‍👧", "👩"),
        ("", long.as_str()),
        (long.as_str(), " he"),
        (long.as_str(), ""),
        ("你好", "世"),
        ("مرحبا", " ب"),
        ("e\u{301}", "e\u{301}"),
        ("<|endoftext|><|agent|>", " <|"),
        ("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "!"),
        ("trailing ", ""),
    ] {
        let words = say(&mut gpt2, &mut cache, before, prefix);
        assert!(
            words.complete && words.top.iter().all(|word| word.surface.starts_with(prefix)),
            "{prefix}: {words:?}"
        );
    }
    let empty = say(&mut gpt2, &mut cache, "a", &"y".repeat(65));
    assert!(empty.top.is_empty() && empty.mass == 0.0 && empty.passes == 0);
}

#[test]
fn marks_in_what_people_type_are_plain_text() {
    let mut gpt2 = load();
    let typed = gpt2.words(&mut KvCache::default(), &agent("Goodbye.<|endoftext|>", ""), &ASK, &|_| false);
    let turns = [(Role::Agent, "Goodbye.")];
    let ended =
        gpt2.words(&mut KvCache::default(), &Prompt { turns: &turns, ..agent("", "") }, &ASK, &|_| false);
    assert!(
        (typed.top[0].prob - ended.top[0].prob).abs() > 1e-3 || typed.top[0].surface != ended.top[0].surface
    );
}

#[test]
fn a_damaged_bundle_names_the_file() {
    load_runtime(None).unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundle");
    for broken in ["gpt2.json", "tokenizer.json", "gpt2.onnx"] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["gpt2.json", "tokenizer.json", "gpt2.onnx"] {
            std::fs::copy(bundle.join(file), folder.path().join(file)).unwrap();
        }
        std::fs::write(folder.path().join(broken), b"{}").unwrap();
        let Err(error) = Gpt2::load(folder.path(), Options::default()) else {
            panic!("{broken} was accepted")
        };
        assert!(error.to_string().contains(broken), "{error}");
        std::fs::remove_file(folder.path().join(broken)).unwrap();
        let Err(error) = Gpt2::load(folder.path(), Options::default()) else {
            panic!("{broken} is not needed")
        };
        assert!(error.to_string().contains(broken), "{error}");
    }
}

#[test]
fn a_long_conversation_leaves_room_for_words() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let text =
        "I would like to book a table for two at seven in the evening on Friday next week please. ".repeat(6);
    let turns: Vec<(Role, &str)> = (0..6).map(|_| (Role::Customer, text.trim_end())).collect();
    let mut prefilled = 0;
    let draft =
        "Sure, I can help you with that. Which restaurant would you like me to book for you and your friend";
    for (at, _) in draft.match_indices(' ') {
        let words =
            gpt2.words(&mut cache, &Prompt { turns: &turns, ..agent(&draft[..at], " ") }, &ASK, &|_| false);
        assert!(words.complete && !words.top.is_empty(), "{words:?}");
        prefilled += words.prefilled;
    }
    assert!(cache.len() <= 256 && prefilled < 600, "the cache survives most words: {prefilled}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_word_starts_with_what_is_typed(before in "[ -~é😀]{0,40}", prefix in " ?[ -~éß😀]{0,8}") {
        thread_local! { static MODEL: std::cell::RefCell<Gpt2> = std::cell::RefCell::new(load()); }
        let words = MODEL.with_borrow_mut(|gpt2| say(gpt2, &mut KvCache::default(), &before, &prefix));
        prop_assert!(words.complete);
        for word in &words.top {
            prop_assert!(word.surface.starts_with(&prefix) && word.surface.len() > prefix.len(), "{word:?}");
            prop_assert!(word.prob > 0.0 && word.prob <= 1.0, "{word:?}");
        }
        let sum: f32 = words.top.iter().map(|word| word.prob).sum::<f32>() + words.done;
        // What no pass was left for is estimated from above.
        prop_assert!(sum < 1.01 || words.passes as usize == ASK.max_passes, "{sum} {words:?}");
    }
}

/// Whether a word was not said before: those are likelier alone, and take from the others, which phrases leave out.
fn is_fresh(surface: &str, text: &str) -> bool {
    let mut said = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    said.all(|word| word != surface.trim())
}

const SENTENCES: [&str; 6] = [
    "Thanks for calling, I can help you with that. Which city would you like to visit?",
    "The flight leaves at 3.5 past ten, doesn't it? Please confirm the following details: one ticket.",
    "I think that the economy is likely to grow at a moderate rate in the second half of the year.",
    "Fix the test that fails when the server is not running, so that it's skipped.",
    "Is there anything else (about the booking) that you want to know?",
    "The rate of inflation has been higher than we had expected, and the committee's view is that",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    /// Searches that share passes over token trees against one question for every word, each with a cache of its own.
    #[test]
    fn phrases_are_what_greedy_decoding_finds_word_by_word(sentence in 0..SENTENCES.len(), share in 0.0..1.0_f32) {
        thread_local! { static MODEL: std::cell::RefCell<Gpt2> = std::cell::RefCell::new(load()); }
        let sentence = SENTENCES[sentence];
        let at = (sentence.len() as f32 * share) as usize;
        let (before, prefix) = sentence[..at].split_at(sentence[..at].rfind(' ').unwrap_or(0));
        let said = |before: &str, prefix: &str, phrase_words| {
            let ask = Ask { top: 3, max_passes: 300, phrase_words, ..ASK };
            let answer = |gpt2: &mut Gpt2| gpt2.words(&mut KvCache::default(), &agent(before, prefix), &ask, &|_| false);
            MODEL.with_borrow_mut(answer)
        };
        let found = said(before, prefix, 4);
        for phrase in &found.phrases {
            let typed = if phrase.follows { prefix } else { "" };
            let mut text = [before, typed, &phrase.first].concat();
            for word in &phrase.words {
                let alone = said(&text, "", 0);
                let fresh = |surface: &str| is_fresh(surface, &text);
                let found = alone.top.iter().find(|other| other.surface == word.surface);
                if fresh(&word.surface) {
                    // Eight-bit activations: see `assert_close`, so that of words as likely either may be chosen.
                    let near = 0.04 + 0.1 * word.prob;
                    let shares = 0.4 * word.prob - near..word.prob + near;
                    let best = alone.top.iter().find(|other| fresh(&other.surface)).map_or(0.0, |best| best.prob);
                    let found = found.map_or(0.0, |found| found.prob);
                    prop_assert!(shares.contains(&found) && found > best - near, "{text}|{word:?} {alone:?}");
                } else {
                    prop_assert!(found.is_some_and(|found| found.prob > word.prob - 0.04), "{text}|{word:?} {alone:?}");
                }
                text.push_str(&word.surface);
            }
            let ended = phrase.words.last().is_some_and(|word| matches!(word.surface.as_str(), "." | "!" | "?"));
            let joint: f32 = phrase.words.iter().map(|word| word.prob).product();
            if phrase.words.len() < 4 && !ended && joint > 0.1 {
                // It stopped where nothing is likely enough, or the message rather ends.
                let alone = said(&text, "", 0);
                let next = alone.top.iter().find(|next| is_fresh(&next.surface, &text)).map_or(0.0, |next| next.prob);
                prop_assert!(next < 0.15 + 0.05 || next < alone.after_end + 0.05, "{text} {phrase:?} {alone:?}");
            }
        }
    }
}

#[test]
fn shares_sum_to_one_after_punctuation_taken_back() {
    let mut gpt2 = load();
    let mut cache = KvCache::default();
    let words = say(&mut gpt2, &mut cache, "\"\"%X0é O\"😀:😀", "");
    let sum: f32 = words.top.iter().map(|word| word.prob).sum();
    assert!(sum < 1.01, "{sum} {words:?}");
}
