#![allow(clippy::unwrap_used)]
mod naive;

use super::*;
use crate::{Event, NextWord};
use naive::Naive;
use proptest::prelude::*;

/// Deterministic text with a skewed vocabulary: word k of `words` about in proportion to 1/k, in phrases that repeat.
fn prose(words: usize, vocabulary: u64, seed: u64) -> Vec<String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut messages = Vec::new();
    let mut written = 0;
    while written < words {
        let len = 5 + (random() * 20.0) as usize;
        let mut text = String::new();
        let mut last = 0;
        for _ in 0..len {
            let fresh = (vocabulary as f64).powf(random()) as u64;
            let word = if random() < 0.5 { last * 7 % vocabulary + 1 } else { fresh };
            text += &format!("{}w{word}", if text.is_empty() { "" } else { " " });
            last = word;
        }
        messages.push(text);
        written += len;
    }
    messages
}

fn model(messages: &[impl AsRef<str>]) -> PersonalModel {
    let mut model = PersonalModel::new(Limits::default());
    for message in messages {
        model.learn(message.as_ref(), Role::Author);
    }
    model
}

fn close(found: f32, expected: f32) {
    assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
}

#[test]
fn agrees_with_the_estimate_word_by_word() {
    let messages = prose(180, 12, 5);
    let model = model(&messages);
    let naive = Naive::new(&messages);
    // What was written before, so that the longest contexts match.
    let copied: Vec<&str> = segment::surfaces(&messages[2]).collect();
    for draft in [
        &[][..],
        &["w1"],
        &["w3", " w2"],
        &["w2", " w1", " w7"],
        &["w9", " new", " w1", " w7", " new"],
        &copied[..copied.len().min(12)],
    ] {
        let history = model.history(draft, Some(Role::Author));
        for (event, prob) in model.distribution(&history) {
            let word = match &event {
                Event::Word(word) => word.as_str(),
                Event::End => "",
                Event::Unknown => "escape",
            };
            let expected = naive.prob(draft, word);
            assert!(
                (f64::from(prob) - expected).abs() < 1e-5,
                "{draft:?} {word:?}: {prob} is not {expected}"
            );
        }
    }
}

#[test]
fn absolute_discounting_by_hand() {
    let model = model(&["a b"]);
    let history = model.history(&["a"], Some(Role::Author));
    // Ages: the draft's "a" 1, its start 2, the message's end 3, " b" 4, "a" 5. " b" came once after "a", and once after
    // the start and "a".
    let weight = (1.0 + 4.0_f32 / 100.0).sqrt().recip();
    let recent = |age: f32| 1.0 / (1.0 + age / 20.0);
    let tops = recent(1.0) + 0.03 + recent(3.0) + recent(4.0);
    let all = tops + recent(5.0);
    let new = 1.5 * (0.03 * 3.0 + tops) + 1.0;
    let unigram = (0.03 + recent(4.0)) / (0.03 * 3.0 + all + new);
    let own = weight - 0.8 * weight;
    let bigram = (own + (0.3 + 0.8 * weight) * unigram) / (weight + 0.3);
    close(model.score(&history, " b").prob, (own + (0.3 + 0.8 * weight) * bigram) / (weight + 0.3));
    assert_eq!(model.score(&history, " b").order, 2);
    assert_eq!(model.matched(&history), crate::Matched { order: 2, count: 1 });
    assert_eq!(model.score(&history, " z"), crate::Score { prob: 0.0, order: 0 });
}

#[test]
fn an_empty_model_escapes() {
    let model = PersonalModel::new(Limits::default());
    let history = model.history(&[], None);
    close(model.escape(&history), 1.0);
    assert_eq!(model.top(&history, "", 5), []);
    assert_eq!(model.continuation(&history, 5), []);
}

#[test]
fn the_conversation_is_remembered_and_not_learned() {
    let mut model = model(&["hello"]);
    let turns = [(Role::Customer, "My Zentiva order 7 is late"), (Role::Agent, "Which one?")];
    let conversation = Conversation::new(turns, Role::Agent, "Your");
    let before = model.to_bytes();
    let history = model.history_in(&conversation);
    sums_to_one(&model, &history);
    assert_eq!(model.top(&history, " Z", 3)[0].0, " Zentiva");
    let mass: f32 = [" Zentiva"].iter().map(|word| model.score(&history, word).prob).sum();
    close(model.mass(&history, " Z"), mass);
    let later = model.advance(&history, " Zentiva");
    sums_to_one(&model, &later);
    assert_eq!(model.top(&later, "", 1)[0].0, " order");
    assert_eq!(model.to_bytes(), before);
    assert_eq!(model.sightings(" Zentiva"), 0);
    model.learn("Zentiva", Role::Agent);
    assert_eq!(model.sightings("Zentiva"), 1);
}

#[test]
fn of_a_long_conversation_the_end_counts() {
    let long = "lorem ipsum ".repeat(2_000) + "dolor";
    let model = PersonalModel::new(Limits::default());
    let conversation =
        Conversation::new([(Role::Customer, "gone"), (Role::Customer, &long)], Role::Agent, "");
    let history = model.history_in(&conversation);
    sums_to_one(&model, &history);
    assert!(model.score(&history, " dolor").prob > 0.0);
    close(model.score(&history, "gone").prob, 0.0);
    // No space to cut at, and no character at the place to cut.
    for glued in ["x".repeat(9_000), "é".repeat(4_000) + "a", "漢".repeat(3_001)] {
        let conversation = Conversation::new([(Role::Customer, glued.as_str())], Role::Agent, "so");
        let history = model.history_in(&conversation);
        sums_to_one(&model, &history);
        assert_eq!(model.top(&history, "", 9), [], "too long to be said again");
    }
    let late = format!("{} OK", "漢。".repeat(1_500));
    let history = model.history_in(&Conversation::new([(Role::Customer, late.as_str())], Role::Agent, "so"));
    assert!(model.score(&history, "漢").prob > 0.0, "a late space is not where to begin");
}

/// Every word once, in order: each of those that go is one of the first of all lists.
#[test]
fn a_sorted_glossary_is_forgotten_in_bounded_work() {
    let mut model = PersonalModel::new(Limits { max_bytes: 64 << 10 });
    let words: Vec<String> = (0..20_000_u32).map(|number| format!("a{number:05}")).collect();
    for message in words.chunks(500) {
        model.learn(&message.join(" "), Role::Author);
    }
    assert!(model.sightings(" a19999") == 1 && model.sightings(" a00001") == 0);
    let (listed, _) = model.vocabulary.frequent("").unwrap();
    assert!(model.vocabulary.surface(listed[0]) < model.vocabulary.surface(listed[1]));
    says_the_same(&model, &PersonalModel::from_bytes(&model.to_bytes()).unwrap());
}

#[test]
fn words_are_suggested_after_two_sightings() {
    let mut model = model(&["see Ann"]);
    let history = model.history(&["see"], Some(Role::Author));
    assert_eq!(model.top(&history, " A", 3), []);
    assert_eq!(model.top_where(&history, " A", 3, |_, _| true)[0].0, " Ann");
    model.learn("see Ann", Role::Author);
    assert_eq!(model.sightings(" Ann"), 2);
    let history = model.history(&["see"], Some(Role::Author));
    assert_eq!(model.top(&history, " A", 3)[0].0, " Ann");
    let start = model.history(&[], Some(Role::Author));
    let words: Vec<String> = model.continuation(&start, 9).into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["see", " Ann"]);
}

#[test]
fn a_forgotten_word_is_gone() {
    let mut model = model(&["my pass is secret", "my pass is secret", "my name is known"]);
    assert!(model.forget(" secret") && !model.forget(" secret"));
    assert_eq!(model.sightings(" secret"), 0);
    assert!(!model.to_bytes().windows(6).any(|bytes| bytes == b"secret"));
    let history = model.history(&[" pass", " is"], None);
    sums_to_one(&model, &history);
    assert!(model.score(&history, " known").prob > 0.0);
    model.learn("my pass is new", Role::Author);
    sums_to_one(&model, &model.history(&[" pass", " is"], None));
}

/// Topics in turn, each with a word of its own in every message.
fn topics() -> PersonalModel {
    let mut model = PersonalModel::new(Limits::default());
    for round in 0..40 {
        for topic in ["boiler", "fence", "invoice"] {
            model.learn(&format!("About the {topic}: the {topic} was seen to on day {round}"), Role::Agent);
            model.learn("Thanks", Role::Author);
        }
    }
    model
}

#[test]
fn the_nearest_messages_are_recalled() {
    let model = topics();
    let asked = |text: &'static str| Conversation::new([(Role::Customer, text)], Role::Agent, "About the");
    let conversation = asked("Is my fence done?");
    let recall = model.recall(&conversation).unwrap();
    let history = recall.history_in(&conversation);
    sums_to_one(&recall, &history);
    assert_eq!(recall.top(&history, " ", 1)[0].0, " fence");
    let [near, far] = [" fence", " boiler"].map(|word| recall.score(&history, word).prob);
    assert!(near > 0.5 && far < 0.05, "{near} {far}");
    let later = recall.advance(&history, " fence");
    sums_to_one(&recall, &later);
    assert_eq!(recall.top(&later, "", 1)[0].0, ":");
    assert!(model.recall(&asked("Hello!")).is_some(), "the draft is looked for too");
    let nothing = Conversation::new([(Role::Customer, "Hello!")], Role::Agent, "Nobody");
    assert!(model.recall(&nothing).is_none());
    assert!(PersonalModel::new(Limits::default()).recall(&conversation).is_none());
}

/// BM25 by the book, of every message, with nothing but strings.
#[test]
fn recall_agrees_with_bm25() {
    let messages = prose(1_500, 300, 9);
    let model = model(&messages);
    let said = ["w3", " w20", " w41", " w150", " w7"];
    let conversation = Conversation::of(&said, None);
    let (tokens, _) = model.tokens(&conversation);
    let words = model.rarest(&tokens);
    let found: Vec<u32> = model.nearest(&words).iter().map(|near| near.from).collect();
    let texts: Vec<Vec<&str>> = messages.iter().map(|message| segment::surfaces(message).collect()).collect();
    let usual = texts.iter().map(|text| text.len() + 1).sum::<usize>() as f64 / texts.len() as f64;
    let score = |text: &Vec<&str>| -> f64 {
        let of = |word: &&str| {
            let times = text.iter().filter(|surface| surface == &word).count() as f64;
            let holding = texts.iter().filter(|text| text.contains(word)).count() as f64;
            let rarity = (1.0 + (texts.len() as f64 - holding + 0.5) / (holding + 0.5)).ln();
            rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * (text.len() + 1) as f64 / usual))
        };
        said.iter().map(of).sum()
    };
    let best = texts.iter().enumerate().max_by(|a, b| score(a.1).total_cmp(&score(b.1))).unwrap().0;
    let before: usize = texts[..best].iter().map(|text| text.len() + 1).sum();
    assert_eq!(found[0] as usize, before + 1, "the message that has the rarest of these words");
}

fn sums_to_one<M: NextWord>(model: &M, history: &M::History) {
    let total: f32 = model.distribution(history).iter().map(|(_, prob)| prob).sum();
    assert!((total - 1.0).abs() < 1e-4, "sums to {total}");
}

#[test]
fn stays_within_its_bytes_and_keeps_learning() {
    let limits = Limits { max_bytes: 192 << 10 };
    let mut model = PersonalModel::new(limits);
    let mut forgot = 0;
    for message in prose(300_000, 60_000, 1) {
        let before = model.text.len();
        model.learn(&message, Role::Agent);
        forgot += usize::from(model.text.len() < before);
        assert!(model.bytes() <= model.content_bytes() && model.content_bytes() <= limits.max_bytes);
    }
    assert!(forgot > 3, "the bound was not tested: forgot {forgot} times");
    model.learn("brandnew brandnew", Role::Agent);
    assert_eq!(model.sightings("brandnew") + model.sightings(" brandnew"), 2);
    let history = model.history(&[" w1"], None);
    sums_to_one(&model, &history);
    says_the_same(&model, &PersonalModel::from_bytes(&model.to_bytes()).unwrap());
    let count = model.matched(&history).count;
    assert!(count > 20, "frequent contexts must survive: {count}");
}

#[test]
fn reload_equals_learn() {
    let messages = prose(60_000, 20_000, 2);
    let (first, second) = messages.split_at(messages.len() / 2);
    let limits = Limits { max_bytes: 128 << 10 };
    let mut straight = PersonalModel::new(limits);
    first.iter().for_each(|message| straight.learn(message, Role::Author));
    let mut reloaded = PersonalModel::from_bytes(&straight.to_bytes()).unwrap();
    assert_eq!(reloaded.to_bytes(), straight.to_bytes());
    for message in second {
        straight.learn(message, Role::Author);
        reloaded.learn(message, Role::Author);
    }
    assert_eq!(reloaded.to_bytes(), straight.to_bytes());
    says_the_same(&straight, &reloaded);
    says_the_same(&straight, &PersonalModel::from_bytes(&straight.to_bytes()).unwrap());
}

/// Predictions show whether the chains through the text are the same, which are not saved.
fn says_the_same(a: &PersonalModel, b: &PersonalModel) {
    let places = [
        &["w1"][..],
        &[" w1"],
        &[" w7", " w50"],
        &["w3", " w22", " w155"],
        &[" w2", " w15"],
        &[" new", " w1"],
    ];
    for surfaces in places {
        let says = |model: &PersonalModel| {
            let history = model.history(surfaces, Some(Role::Author));
            let mut all = model.distribution(&history);
            all.sort_by(|a, b| a.0.cmp(&b.0));
            (all, model.matched(&history))
        };
        assert_eq!(says(a), says(b), "{surfaces:?}");
    }
}

#[test]
fn a_gap_is_to_what_it_parts_as_an_over_long_word() {
    let with = |word: &str| model(&[format!("the {word} review is done"), format!("{word}, done")]);
    let (gapped, long) = (with("\u{fffc}"), with(&"x".repeat(100)));
    assert!(gapped.to_bytes() == long.to_bytes());
    assert_eq!((gapped.sightings(" \u{fffc}"), gapped.sightings(" review")), (0, 1));
}

#[test]
fn an_over_long_word_breaks_the_history_only() {
    let long = "x".repeat(10_000);
    let model = model(&[format!("a {long} b c"), format!("a {long} b c")]);
    assert_eq!(model.sightings(&format!(" {long}")), 0);
    assert_eq!(model.top(&model.history(&[" b"], None), "", 1)[0].0, " c");
    assert!(model.bytes() < 80 << 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn top_mass_and_score_agree_with_the_distribution(
        messages in prop::collection::vec("([a-d]{1,2}[ ,']){1,12}", 1..30),
        context in "([a-d]{1,2}[ ,]){0,4}",
        prefix in "( ?[a-d]?)",
        k in 1_usize..12,
    ) {
        let model = model(&messages);
        let cut = segment::cut(&context);
        let history = model.history(&cut.history, Some(Role::Author));
        sums_to_one(&model, &history);
        let mut expected: Vec<(String, f32)> = Vec::new();
        let mut mass = 0.0;
        for (event, prob) in model.distribution(&history) {
            if let Event::Word(word) = event && word.starts_with(&prefix) {
                mass += prob;
                prop_assert_eq!(model.score(&history, &word).prob, prob);
                let spoken = cut.history.iter().filter(|spoken| **spoken == word).count() as u32;
                if word.len() > prefix.len() && model.sightings(&word) + spoken >= 2 {
                    expected.push((word, prob));
                }
            }
        }
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        expected.truncate(k);
        let found: Vec<(String, f32)> =
            model.top(&history, &prefix, k).into_iter().map(|(word, prob)| (word.to_owned(), prob)).collect();
        prop_assert_eq!(found, expected);
        prop_assert!((model.mass(&history, &prefix) - mass).abs() < 1e-5);
    }

    #[test]
    fn damaged_snapshots_are_errors(at in 0_usize..2000, flip in 1_u8..=255, cut_to in 0_usize..2000, mend in any::<bool>()) {
        let good = model(&prose(40, 30, 3)).to_bytes();
        prop_assert!(PersonalModel::from_bytes(&good[..cut_to % good.len()]).is_err());
        let mut bad = good.clone();
        let at = at % good.len();
        bad[at] ^= flip;
        if mend {
            // With its checksum made right again the damage must be found by the other checks, or be harmless.
            let crc = crc32fast::hash(&bad[12..]);
            bad[8..12].copy_from_slice(&crc.to_le_bytes());
            if let Ok(mut model) = PersonalModel::from_bytes(&bad) {
                model.learn("w1 w2 w3", Role::Agent);
                sums_to_one(&model, &model.history(&["w1", " w2"], None));
            }
        } else {
            prop_assert!(PersonalModel::from_bytes(&bad).is_err());
        }
    }
}

#[test]
fn the_most_frequent_words_are_known_without_looking_at_all() {
    let mut model = PersonalModel::new(Limits { max_bytes: 40 << 10 });
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..400 {
        let bits = 1 + random(9);
        model.learn(
            &format!("w{} the w{} w{}", random(1 << bits), random(1 << bits), random(90)),
            Role::Author,
        );
        if round % 90 == 0 {
            model.forget(" the");
        }
        if round % 25 == 0 {
            let history = model.history(&["nowhere"], None);
            let mut words: Vec<(String, f32)> = model
                .distribution(&history)
                .into_iter()
                .filter_map(
                    |(event, prob)| if let Event::Word(word) = event { Some((word, prob)) } else { None },
                )
                .filter(|(word, _)| model.sightings(word) >= 2)
                .collect();
            words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            for (prefix, k) in pairs(&["", " ", " w", " t", "w"], &[1, 8, 32, 60]) {
                let longer =
                    words.iter().filter(|(word, _)| word.starts_with(prefix) && word.len() > prefix.len());
                let expected: Vec<_> = longer.take(k).cloned().collect();
                let top = model.top(&history, prefix, k);
                let top: Vec<_> = top.into_iter().map(|(word, prob)| (word.to_owned(), prob)).collect();
                assert_eq!(top, expected, "round {round}, {k} of {prefix:?}");
                let mass: f64 = model
                    .distribution(&history)
                    .iter()
                    .filter(|(event, _)| matches!(event, Event::Word(word) if word.starts_with(prefix)))
                    .map(|(_, prob)| f64::from(*prob))
                    .sum();
                assert!(
                    (f64::from(model.mass(&history, prefix)) - mass).abs() < 1e-4,
                    "round {round}, {prefix:?}"
                );
            }
        }
    }
}

fn pairs<'a>(prefixes: &'a [&'a str], counts: &'a [usize]) -> impl Iterator<Item = (&'a str, usize)> {
    prefixes.iter().flat_map(|prefix| counts.iter().map(|count| (*prefix, *count)))
}
