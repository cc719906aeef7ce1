#![allow(clippy::unwrap_used)]
use super::*;
use crate::{Event, NextWord};
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
fn witten_bell_by_hand() {
    let model = model(&["a b", "a c"]);
    let start = model.history(&[], Some(Role::Author));
    // A distinct continuation counts three times, but among the unigrams once.
    // Unigrams: a 2, " b" 1, " c" 1, END 2: N = 6, T = 4. After START: a 2: N = 2, T = 1.
    close(model.score(&start, "a").prob, (2.0 + 3.0 * (2.0 / 10.0)) / (2.0 + 3.0));
    close(model.escape(&start), 3.0 / (2.0 + 3.0) * (4.0 / 10.0));
    let after = model.history(&["a"], Some(Role::Author));
    // After a: b 1, c 1 (N = 2, T = 2), and the same after START a.
    let bigram = (1.0 + 6.0 * (1.0 / 10.0)) / (2.0 + 6.0);
    close(model.score(&after, " b").prob, (1.0 + 6.0 * bigram) / (2.0 + 6.0));
    close(model.end(&after), 6.0 / 8.0 * (6.0 / 8.0) * (2.0 / 10.0));
    assert_eq!(model.score(&after, " b").order, 2);
    assert_eq!(model.matched(&after), crate::Matched { order: 2, count: 2 });
    assert_eq!(model.score(&after, " z"), crate::Score { prob: 0.0, order: 0 });
}

#[test]
fn an_empty_model_escapes() {
    let model = PersonalModel::new(Limits::default());
    let history = model.history(&["x"], None);
    close(model.escape(&history), 1.0);
    assert_eq!(model.top(&history, "", 5), []);
    assert_eq!(model.continuation(&history, 5), []);
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
    assert_eq!(model.score(&history, " known").order, 1);
}

fn sums_to_one(model: &PersonalModel, history: &PersonalHistory) {
    let total: f32 = model.distribution(history).iter().map(|(_, prob)| prob).sum();
    assert!((total - 1.0).abs() < 1e-4, "sums to {total}");
}

#[test]
fn stays_within_its_bytes_and_keeps_learning() {
    let limits = Limits { max_bytes: 256 << 10 };
    let mut model = PersonalModel::new(limits);
    let mut forgot = 0;
    for message in prose(300_000, 60_000, 1) {
        let before = model.contexts.content_bytes();
        model.learn(&message, Role::Agent);
        forgot += usize::from(model.contexts.content_bytes() < before);
        assert!(model.bytes() <= model.content_bytes() && model.content_bytes() <= limits.max_bytes);
    }
    assert!(forgot > 3, "the bound was not tested: forgot {forgot} times");
    model.learn("brandnew brandnew", Role::Agent);
    assert_eq!(model.sightings("brandnew") + model.sightings(" brandnew"), 2);
    let history = model.history(&[" w1"], None);
    sums_to_one(&model, &history);
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
}

#[test]
fn an_over_long_word_breaks_the_history_only() {
    let long = "x".repeat(10_000);
    let model = model(&[format!("a {long} b c"), format!("a {long} b c")]);
    assert_eq!(model.sightings(&format!(" {long}")), 0);
    assert_eq!(model.top(&model.history(&[" b"], None), "", 1)[0].0, " c");
    assert!(model.bytes() < 8192);
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
                if word.len() > prefix.len() && model.sightings(&word) >= 2 {
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
    let mut model = PersonalModel::new(Limits { max_bytes: 24 << 10 });
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
            for k in [1, 8, 32, 60] {
                let top = model.top(&history, "", k);
                let top: Vec<_> = top.into_iter().map(|(word, prob)| (word.to_owned(), prob)).collect();
                assert_eq!(top, words[..k.min(words.len())], "round {round}, {k} of {}", words.len());
            }
        }
    }
}
