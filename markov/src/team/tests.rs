#![allow(clippy::unwrap_used)]
mod naive;

use super::*;
use crate::{Event, Matched, NextWord, Score};
use naive::Naive;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Message = (u32, String);

fn limits(writers_needed: u8) -> TeamLimits {
    TeamLimits { writers_needed, ..TeamLimits::default() }
}

fn model(writers_needed: u8, messages: &[Message]) -> TeamModel {
    let mut model = TeamModel::new(limits(writers_needed));
    learn(&mut model, messages);
    model
}

fn learn(model: &mut TeamModel, messages: &[Message]) {
    messages.iter().for_each(|(writer, text)| model.learn(*writer, text, role(text)));
}

/// Some messages begin otherwise than others.
fn role(text: &str) -> Role {
    if text.len().is_multiple_of(3) { Role::Agent } else { Role::Author }
}

fn messages(most: usize) -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec((0_u32..6, "[a-e](,? [a-e]){0,6}"), 0..most)
}

/// What `writers` people write who share some of their words, about 1/k of all times the k-th.
fn chatter(count: usize, writers: u64, vocabulary: u64, seed: u64) -> Vec<Message> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut message = |_| {
        let words = (0..12).map(|_| format!("w{}", (vocabulary as f64).powf(random()) as u64));
        let words: Vec<String> = words.collect();
        ((random() * writers as f64) as u32, words.join(" "))
    };
    (0..count).map(&mut message).collect()
}

const PLACES: [&[&str]; 6] =
    [&[], &["a"], &["a", " b"], &[" b", " c", " d"], &["w1", " w2"], &["c", ",", " a"]];

/// All that can be asked of a model, to the bit.
fn answers(model: &TeamModel) -> Vec<String> {
    let mut all = vec![format!("{} words, {:?}", model.words(), model.ngrams())];
    for (place, start) in PLACES.iter().flat_map(|place| [(place, None), (place, Some(Role::Agent))]) {
        let history = model.history(place, start);
        let masses = ["", " ", "a", " d"].map(|prefix| model.mass(&history, prefix));
        let tops = ["", " ", "a", " d"].map(|prefix| model.top(&history, prefix, 5));
        let scores = model.published.words().surfaces().iter().map(|word| model.score(&history, word));
        let scores: Vec<Score> = scores.collect();
        let rest = (model.matched(&history), model.end(&history), model.escape(&history));
        let on = (model.distribution(&history), model.continuation(&history, 4));
        all.push(format!("{place:?} {start:?}: {masses:?} {tops:?} {scores:?} {rest:?} {on:?}"));
    }
    all
}

fn sums_to_one(model: &TeamModel, history: &TeamHistory) {
    let total: f32 = model.distribution(history).iter().map(|(_, prob)| prob).sum();
    assert!((total - 1.0).abs() < 1e-4, "sums to {total}");
}

#[test]
fn an_empty_model_escapes() {
    let mut model = TeamModel::new(TeamLimits::default());
    for _ in 0..2 {
        let history = model.history(&["a"], Some(Role::Agent));
        assert_eq!((model.escape(&history), model.end(&history), model.mass(&history, "")), (1.0, 0.0, 0.0));
        assert_eq!(model.matched(&history), Matched { order: 0, count: 0 });
        assert_eq!(model.top(&history, "", 5), []);
        assert_eq!(model.continuation(&history, 5), []);
        // Four writers are not five, whatever they say.
        for writer in 0..400 {
            model.learn(writer % 4, "a a a", Role::Agent);
        }
    }
    assert_eq!((model.words(), model.writers(), model.ngrams()), (0, 4, [0; 4]));
}

#[test]
fn rounds_by_hand() {
    // "a" and " b" and the end: two rounds each; "a" before " b": one, as the other time no other writer came.
    let texts = [(1, "a b"), (2, "a b"), (1, "a b"), (1, "a b"), (3, "a"), (3, "b b")];
    let model = model(2, &texts.map(|(writer, text)| (writer, text.to_owned())));
    let history = model.history(&["a"], None);
    let unigram = 2.0 / (2.0 + 2.0 + 2.0 + 1.5 * 3.0 + 1.0);
    let rest = 2.0 - 1.0 + 0.6;
    let found = model.score(&history, " b");
    assert!((found.prob - (1.0 - 0.6 + rest * unigram) / 2.0).abs() < 1e-6, "{found:?}");
    assert_eq!((found.order, model.matched(&history)), (1, Matched { order: 1, count: 2 }));
}

#[test]
fn what_too_few_said_of_known_words_is_not_there() {
    // All rounds are full, so that no start or end of a message waits for a fifth writer.
    let all: Vec<Message> = (0..10).map(|at| (at % 5, if at < 5 { "b b" } else { "a" }.to_owned())).collect();
    let mut model = model(5, &all);
    let before = model.history(&["a"], None);
    let says =
        |model: &TeamModel, history: &TeamHistory| (model.distribution(history), model.matched(history));
    let said = says(&model, &before);
    for _ in 0..90 {
        (0..4).for_each(|writer| model.learn(writer, "a b", Role::Agent));
    }
    let history = model.history(&["a"], None);
    assert_eq!(says(&model, &history), said);
    assert_eq!(model.score(&history, " b").order, 0);
    model.learn(4, "a b", Role::Agent);
    assert_eq!(model.score(&model.history(&["a"], None), " b").order, 1);
}

#[test]
fn a_gap_is_to_what_it_parts_as_an_over_long_word() {
    let with = |word: &str| {
        let all: Vec<Message> = (0..3).map(|writer| (writer, format!("the {word} review"))).collect();
        model(2, &all)
    };
    let (gapped, long) = (with("\u{fffc}"), with(&"x".repeat(100)));
    assert_eq!((gapped.words(), gapped.ngrams()), (long.words(), long.ngrams()));
    assert_eq!(gapped.words(), 2);
}

#[test]
fn an_over_long_word_breaks_the_history_only() {
    let text = format!("a {} b c", "x".repeat(100));
    let model = model(2, &[(1, text.clone()), (2, text.clone())]);
    assert_eq!((model.words(), model.ngrams()), (3, [4, 3, 1, 0]));
    let place: Vec<&str> = segment::surfaces(&text).take(3).collect();
    let history = model.history(&place, Some(Role::Author));
    assert_eq!(model.top(&history, "", 1)[0].0, " c");
    assert_eq!(model.matched(&history).order, 1);
}

#[test]
fn what_is_forgotten_takes_along_what_is_made_of_it() {
    let key =
        |surfaces: &[&str]| keys::keys(surfaces.iter().rev().map(|word| keys::token(word))).last().unwrap();
    let mut published = Published::new();
    for (seen, word) in [(1, "a"), (5, "b"), (5, "c"), (5, "d"), (1, "e")] {
        published.add_word(word, key(&[word]), seen);
    }
    for gram in [["a", "b"], ["b", "a"], ["b", "c"]] {
        let [context, word] = gram.map(|word| published.find(key(&[word])).unwrap());
        let word = published.gram(word).word;
        published.push(Gram { key: key(&gram), word, context, rounds: 2, seen: 9 });
    }
    let longer = published.find(key(&["a", "b"])).unwrap();
    published.push(Gram { key: key(&["a", "b", "c"]), word: 2, context: longer, rounds: 1, seen: 9 });
    published.forget();
    let kept = [&["a"][..], &["b"], &["c"], &["d"], &["a", "b"], &["b", "a"], &["b", "c"], &["a", "b", "c"]];
    let kept = kept.map(|gram| published.find(key(gram)).is_some());
    assert_eq!(kept, [false, true, true, true, false, false, true, false]);
    let words: Vec<&str> = (0..3).map(|rank| published.words().at(rank)).collect();
    assert_eq!((words, published.words().rounds(0..3)), (vec!["b", "c", "d"], &[1, 1, 1][..]));
}

#[test]
fn stays_within_its_bytes_and_keeps_learning() {
    let limits = TeamLimits { max_bytes: 128 << 10, writers_needed: 3 };
    let mut model = TeamModel::new(limits);
    let mut most = 0;
    let mut forgot = 0;
    for (writer, text) in chatter(30_000, 5_000, 2_000, 1) {
        let before = model.words();
        model.learn(writer, &text, Role::Agent);
        forgot += usize::from(model.words() < before);
        most = most.max(model.bytes());
    }
    assert!(most <= limits.max_bytes && most > limits.max_bytes * 3 / 4, "{most} bytes");
    assert!(forgot > 3, "the bound was not tested: forgot {forgot} times");
    assert_eq!(model.writers(), (128 << 10) / 72);
    (0..3).for_each(|writer| model.learn(writer, "brandnew brandnew", Role::Agent));
    let history = model.history(&["brandnew"], Some(Role::Agent));
    assert_eq!(model.top(&history, " b", 1)[0].0, " brandnew");
    sums_to_one(&model, &history);
    sums_to_one(&model, &model.history(&["w1", " w2"], None));
    assert!(model.score(&history, " w1").prob > 0.0, "what is frequent must survive");
}

#[test]
fn reload_equals_learn() {
    let all = chatter(4_000, 40, 900, 2);
    let (first, second) = all.split_at(2_500);
    let mut straight = TeamModel::new(TeamLimits { max_bytes: 96 << 10, writers_needed: 4 });
    learn(&mut straight, first);
    let mut reloaded = TeamModel::from_bytes(&straight.to_bytes()).unwrap();
    assert_eq!(reloaded.to_bytes(), straight.to_bytes());
    learn(&mut straight, second);
    learn(&mut reloaded, second);
    assert_eq!(reloaded.to_bytes(), straight.to_bytes());
    assert_eq!(answers(&reloaded), answers(&straight));
    assert_eq!(answers(&TeamModel::from_bytes(&straight.to_bytes()).unwrap()), answers(&straight));
}

/// Each byte of each number that says how much there is, at its largest.
#[test]
fn a_snapshot_that_claims_too_much_is_an_error() {
    let model = model(2, &chatter(30, 5, 40, 3));
    let good = model.to_bytes();
    let uses = model.rounds.saved().1.count();
    let buckets = good.len() - 16 * uses - 8;
    for at in [25, buckets, buckets + 4].into_iter().flat_map(|number| number..number + 4) {
        let mut bad = good.clone();
        bad[at] = u8::MAX;
        let crc = crc32fast::hash(&bad[12..]);
        bad[8..12].copy_from_slice(&crc.to_le_bytes());
        assert!(TeamModel::from_bytes(&bad).is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn agrees_with_the_twin(all in messages(40), needed in 1_u8..5, draft in "([a-e](,? [a-e]){0,3})?") {
        let model = model(needed, &all);
        let mut naive = Naive::new(needed.into());
        all.iter().for_each(|(writer, text)| naive.learn(*writer, text, role(text)));
        let surfaces: Vec<&str> = segment::surfaces(&draft).collect();
        let history = surfaces.iter().fold(model.history(&[], Some(Role::Agent)), |h, s| model.advance(&h, s));
        let owned = surfaces.iter().map(|&surface| surface.to_owned());
        let context: Vec<String> = [naive::start(Role::Agent)].into_iter().chain(owned).collect();
        let (order, rounds) = naive.longest(&context, None);
        let count = rounds as u32 * u32::from(needed);
        prop_assert_eq!(model.matched(&history), Matched { order: order as u8, count });
        prop_assert_eq!(model.words(), naive.words().len());
        let mut total = 0.0;
        for (event, prob) in model.distribution(&history) {
            let name = match &event {
                Event::Word(word) => word,
                Event::End => naive::END,
                Event::Unknown => naive::UNKNOWN,
            };
            let expected = naive.prob(&context, name);
            prop_assert!((f64::from(prob) - expected).abs() < 1e-5, "{event:?}: {prob} is not {expected}");
            if let Event::Word(word) = &event {
                let order = naive.longest(&context, Some(word)).0 as u8;
                prop_assert_eq!(model.score(&history, word), Score { prob, order });
            }
            total += prob;
        }
        prop_assert!((total - 1.0).abs() < 1e-5);
    }

    #[test]
    fn top_and_mass_agree_with_the_distribution(all in messages(60), prefix in "( ?[a-e]?)", k in 0_usize..9) {
        let model = model(2, &all);
        for place in PLACES {
            let history = model.history(place, None);
            let mut words: Vec<(String, f32)> = Vec::new();
            for (event, prob) in model.distribution(&history) {
                if let Event::Word(word) = event && word.starts_with(&prefix) {
                    words.push((word, prob));
                }
            }
            let mass: f32 = words.iter().map(|(_, prob)| prob).sum();
            prop_assert!((model.mass(&history, &prefix) - mass).abs() < 1e-5);
            words.retain(|(word, _)| word.len() > prefix.len());
            words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            words.truncate(k);
            let top = model.top(&history, &prefix, k);
            let top: Vec<_> = top.into_iter().map(|(word, prob)| (word.to_owned(), prob)).collect();
            prop_assert_eq!(top, words);
        }
    }

    /// The rule: which words they are that too few writers used changes no answer by a bit.
    #[test]
    fn private_words_might_as_well_be_others(
        all in prop::collection::vec((0_u32..6, "[a-e]( [a-e]){0,6}"), 0..50),
        needed in 2_u8..5,
    ) {
        let mut users: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for (writer, text) in &all {
            segment::surfaces(text).for_each(|word| users.entry(word).or_default().extend([*writer]));
        }
        let private = |word: &str| users[word].len() < needed.into();
        let told = model(needed, &all);
        let mut hidden = TeamModel::new(limits(needed));
        let mut number = 0;
        for (writer, text) in &all {
            let renamed = segment::surfaces(text).map(|word| {
                number += 1;
                let space = if word.starts_with(' ') { " " } else { "" };
                if private(word) { format!("{space}zz{number}") } else { word.to_owned() }
            });
            hidden.learn(*writer, &renamed.collect::<String>(), role(text));
        }
        prop_assert_eq!(answers(&told), answers(&hidden));
        let history = told.history(&["a"], None);
        for word in users.keys().filter(|word| private(word)) {
            prop_assert_eq!(told.score(&history, word), Score { prob: 0.0, order: 0 });
        }
    }

    /// Saying something twice is the most a writer can do alone; even that shows only once others have said it again.
    #[test]
    fn repeating_adds_nothing(
        before in messages(40),
        after in messages(40),
        text in "[a-e](,? [a-e]){0,6}",
        times in 2_usize..20,
    ) {
        let mut once = model(3, &before);
        once.learn(7, &text, Role::Agent);
        let mut twice = once.clone();
        twice.learn(7, &text, Role::Agent);
        let mut often = once.clone();
        (0..times).for_each(|_| often.learn(7, &text, Role::Agent));
        prop_assert_eq!(answers(&once), answers(&often));
        learn(&mut twice, &after);
        learn(&mut often, &after);
        prop_assert_eq!(answers(&twice), answers(&often));
    }

    #[test]
    fn damaged_snapshots_are_errors(at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<prop::sample::Index>(), mend in any::<bool>()) {
        let good = model(2, &chatter(30, 5, 40, 3)).to_bytes();
        prop_assert!(TeamModel::from_bytes(&good[..cut.index(good.len())]).is_err());
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= flip;
        if mend {
            // With its checksum made right again the damage must be found by the other checks, or do no harm.
            let crc = crc32fast::hash(&bad[12..]);
            bad[8..12].copy_from_slice(&crc.to_le_bytes());
            if let Ok(mut model) = TeamModel::from_bytes(&bad) {
                answers(&model);
                learn(&mut model, &chatter(30, 5, 40, 4));
                answers(&model);
            }
        } else {
            prop_assert!(TeamModel::from_bytes(&bad).is_err());
        }
    }
}
