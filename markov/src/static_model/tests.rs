#![allow(clippy::unwrap_used)]
use super::*;
use crate::{BuildOptions, Builder, Event, NextWord, Role, segment};
use proptest::prelude::*;

/// The bytes of a model of messages.
fn file(messages: &[impl AsRef<str>], max_bytes: u64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.ngram");
    let mut builder = Builder::new(BuildOptions { max_bytes, ..BuildOptions::default() });
    messages.iter().for_each(|message| builder.add_message(message.as_ref(), Role::Agent));
    builder.finish(&path, &mut |_| ()).unwrap();
    std::fs::read(&path).unwrap()
}

fn open(bytes: &[u8]) -> Result<StaticModel, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    StaticModel::open(file.path())
}

/// Sums to one, and `top` and `mass` say what a sorted full distribution says.
fn check(model: &StaticModel, history: &StaticHistory, prefix: &str, k: usize) {
    let distribution = model.distribution(history);
    let total: f64 = distribution.iter().map(|(_, prob)| f64::from(*prob)).sum();
    assert!((total - 1.0).abs() < 1e-4, "sums to {total}");
    let mut expected = Vec::new();
    let mut mass = 0.0;
    for (event, prob) in distribution {
        if let Event::Word(word) = event
            && word.starts_with(prefix)
        {
            mass += prob;
            assert_eq!(model.score(history, &word).prob, prob);
            if word.len() > prefix.len() {
                expected.push((word, prob));
            }
        }
    }
    expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    expected.truncate(k);
    let top = model.top(history, prefix, k);
    let found: Vec<(String, f32)> = top.into_iter().map(|(word, prob)| (word.to_owned(), prob)).collect();
    assert_eq!(found, expected, "prefix {prefix:?}");
    assert!((model.mass(history, prefix) - mass).abs() < 1e-4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_distribution(
        messages in prop::collection::vec("([a-d]{1,2}[ ,']){1,12}", 1..40),
        context in "([a-e]{1,2}[ ,]){0,4}",
        prefix in "( ?[a-d]?)",
        k in 1_usize..12,
        share in 0.3_f64..1.0,
    ) {
        let mut messages = messages;
        messages.push("a a b b".to_owned());
        messages.push("a a b b".to_owned());
        let full = file(&messages, u64::MAX).len() as f64;
        let model = open(&file(&messages, (full * share) as u64)).unwrap();
        let cut = segment::cut(&context);
        check(&model, &model.history(&cut.history, Some(Role::Agent)), &prefix, k);
        check(&model, &model.history(&cut.history, None), &prefix, k);
    }
}

/// Enough words that prefixes have lists of frequent words, and contexts have hundreds of children.
fn large() -> Vec<String> {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut word = move || {
        let bits = 1 + random(13);
        format!("{}w{}", ["", "x", "xy"][random(3) as usize], random(1 << bits))
    };
    (0..15_000).map(|_| format!("{} the {} of {}, {}", word(), word(), word(), word())).collect()
}

#[test]
fn top_is_exact_in_a_large_model() {
    let model = open(&file(&large(), 300_000)).unwrap();
    assert!(model.stats().words > 4000);
    for context in ["", "the", " the", " of", " the w1 of", "w1 the", ",", "nowhere"] {
        let surfaces: Vec<&str> = segment::surfaces(context).collect();
        let history = model.history(&surfaces, None);
        for prefix in ["", " ", " x", " xy", "w", " w1", " w11", ",", " w1111111", " nothing"] {
            check(&model, &history, prefix, 8);
        }
    }
    assert_eq!(model.top(&model.history(&[" of"], None), " w12", 300).len(), {
        let with_prefix =
            |event: &(Event, f32)| matches!(&event.0, Event::Word(word) if word.starts_with(" w12"));
        let all = model.distribution(&model.history(&[], None));
        all.iter().filter(|event| with_prefix(event)).count() - 1
    });
}

#[test]
fn advance_is_the_history_one_word_later() {
    let model = open(&file(&large(), u64::MAX)).unwrap();
    let mut surfaces = vec!["w1"];
    let mut history = model.history(&surfaces, Some(Role::Agent));
    for word in [" the", " w2", " of", " unheard"] {
        surfaces.push(word);
        history = model.advance(&history, word);
        let direct = model.history(&surfaces, Some(Role::Agent));
        assert_eq!(model.top(&history, "", 5), model.top(&direct, "", 5));
        assert_eq!(model.matched(&history), model.matched(&direct));
    }
}

#[test]
fn continuation_stops_at_the_end() {
    let model = open(&file(&["how are you?", "how are you?", "how are you?"], u64::MAX)).unwrap();
    let start = model.history(&[], Some(Role::Agent));
    let words: Vec<String> = model.continuation(&start, 9).into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["how", " are", " you", "?"]);
    assert_eq!(model.continuation(&start, 2).len(), 2);
}

#[test]
fn errors_name_the_file_and_the_way_out() {
    let missing = StaticModel::open(Path::new("/nowhere/model.ngram")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/model.ngram"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a model, but long enough to hold a header".repeat(20)).unwrap();
    let message = StaticModel::open(file.path()).unwrap_err().to_string();
    assert!(
        message.contains(file.path().to_str().unwrap()) && message.contains("foretype build"),
        "{message}"
    );
    assert!(open(&[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_are_errors(at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut_to in any::<prop::sample::Index>(), mend in any::<bool>()) {
        let good = file(&["a b c d", "a b c d", "a c b", "b c, d"], u64::MAX);
        prop_assert!(open(&good[..cut_to.index(good.len())]).is_err());
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= flip;
        if !mend {
            prop_assert!(open(&bad).is_err());
            return Ok(());
        }
        // With its checksum made right again the damage must be found by the other checks, or do no more than change
        // probabilities.
        let crc = crc32fast::hash(&bad[12..]);
        bad[8..12].copy_from_slice(&crc.to_le_bytes());
        if let Ok(model) = open(&bad) {
            for surfaces in [&["a", " b", " c"][..], &["b", " c"], &[",", " d"], &[]] {
                let history = model.history(surfaces, Some(Role::Agent));
                model.top(&history, " ", 3);
                model.mass(&history, "");
                model.continuation(&history, 4);
                model.distribution(&history);
            }
        }
    }
}
