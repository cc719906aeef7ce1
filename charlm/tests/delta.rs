//! What a writer's words change: new words like them become likelier, and all strings still sum to one.

mod common;

use common::{close, corpus, files, questions, spelling};
use foretype_charlm::{Delta, Spelling};

fn learned<'a>(spelling: &Spelling, words: impl IntoIterator<Item = &'a str>) -> Delta {
    let mut delta = Delta::default();
    words.into_iter().for_each(|word| delta.learn(spelling, word));
    delta
}

fn coined(spelling: &Spelling) -> Delta {
    learned(
        spelling,
        [" unadjustingly", " rethinkation", "frobread", " frobbreaking", " frobworkable", " 東京東"],
    )
}

/// Some thousand words nobody lists, by their number.
fn word(number: usize) -> String {
    let letters: Vec<char> = "configurtableh".chars().collect();
    let digits = std::iter::successors(Some(number), |n| (*n > 0).then_some(n / letters.len()));
    format!(" {}", digits.map(|n| letters[n % letters.len()]).collect::<String>())
}

#[test]
fn what_comes_next_sums_to_one() {
    let spelling = spelling(&files());
    let delta = coined(&spelling);
    let chars = spelling.chars().with(Some(&delta));
    let words = delta.words(&spelling).collect::<Vec<_>>();
    for question in questions().iter().chain(&words) {
        for (at, _) in question.char_indices().take(20) {
            let prefix = &question[..at];
            let next = chars.next_chars(prefix);
            let sum = next.end + next.other + next.chars.iter().map(|(_, p)| p).sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-5, "{sum} after {prefix:?}");
            let share = |log: f32| (log - chars.log_mass(prefix)).exp();
            assert!((share(chars.log_prob(prefix)) - next.end).abs() < 2e-3, "end of {prefix:?}");
            for &(c, p) in &next.chars {
                let longer = share(chars.log_mass(&format!("{prefix}{c}")));
                assert!((longer - p).abs() < 2e-3, "{c:?} after {prefix:?}");
            }
        }
    }
}

#[test]
fn a_mass_is_that_of_all_longer_strings() {
    let spelling = spelling(&files());
    let delta = coined(&spelling);
    let adapted = spelling.with(Some(&delta));
    assert!(close(adapted.mass(""), 1.0));
    for prefix in [" frob", " unadjust", " reth", " configur", " configure", " 東京", "e"] {
        let next = spelling.chars().with(Some(&delta)).next_chars(prefix);
        let outside = (1_112_064 - next.chars.len()) as f32 * adapted.mass(&format!("{prefix}\u{e000}"));
        let longer: f32 = next.chars.iter().map(|(c, _)| adapted.mass(&format!("{prefix}{c}"))).sum();
        let (whole, mass) = (adapted.prob(prefix), adapted.mass(prefix));
        assert!((whole + longer + outside - mass).abs() < 1e-3 * mass, "{prefix:?}: {mass}");
    }
}

#[test]
fn words_like_the_writers_are_likelier_and_found() {
    let spelling = spelling(&files());
    let delta = coined(&spelling);
    let adapted = spelling.with(Some(&delta));
    for new in [" frobbreakable", " unadjustingl", " rethinkationing"] {
        assert!(adapted.log_prob(new) > spelling.log_prob(new) + 1.0, "{new}");
    }
    let first = |top: Vec<(String, f32)>| top.first().map(|(word, _)| word.clone());
    assert_eq!(first(adapted.top(" frobw", 8)).as_deref(), Some(" frobworkable"));
    assert_ne!(first(spelling.top(" unadjustingl", 8)), first(adapted.top(" unadjustingl", 8)));
    for (word, p) in adapted.top(" frob", 8).into_iter().chain(adapted.top(" con", 8)) {
        assert!(close(p, adapted.prob(&word)), "{word:?}: {p}");
    }
}

#[test]
fn who_taught_nothing_new_changes_nothing() {
    let spelling = spelling(&files());
    let delta =
        learned(&spelling, [" the", " reconfigure", "", " ", " 4711", " \u{10ffff}a", &"ab".repeat(17)]);
    assert_eq!((delta.is_empty(), delta), (true, Delta::default()));
    for question in questions() {
        let adapted = spelling.with(Some(&Delta::default())).log_prob(&question);
        assert!(close(adapted, spelling.log_prob(&question)), "{question:?}");
    }
}

#[test]
fn memory_is_bounded_and_the_newest_words_stay() {
    let spelling = spelling(&files());
    let mut delta = Delta::default();
    for number in 20_000..40_000 {
        delta.learn(&spelling, &word(number));
        assert!(delta.bytes() <= 64 << 10, "{} bytes", delta.bytes());
    }
    let kept: Vec<String> = delta.words(&spelling).collect();
    assert!(kept.len() > 1_000, "{} words", kept.len());
    assert_eq!(kept, (40_000 - kept.len()..40_000).map(word).collect::<Vec<_>>());
    // Dropped and kept words together are not what was learned: the delta is what it has.
    let again = learned(&spelling, kept.iter().map(String::as_str));
    assert_eq!(again, delta);
}

#[test]
fn listed_words_are_spelled_anew_after_each_word_learned() {
    let spelling = spelling(&files());
    let mut delta = learned(&spelling, [" frobread"]);
    for word in [" unthinkably", " unreadably", " reworkably", " frobworkably"] {
        for (listed, _) in corpus() {
            // The first answer is remembered, the second is read back; a copy remembers nothing.
            let [first, again] = [(); 2].map(|()| spelling.with(Some(&delta)).prob(&listed));
            assert_eq!(
                (first, again),
                (spelling.with(Some(&delta.clone())).prob(&listed), first),
                "{listed:?}"
            );
        }
        delta.learn(&spelling, word);
    }
}

#[test]
fn a_forgotten_word_leaves_nothing() {
    let spelling = spelling(&files());
    let mut delta = learned(&spelling, [" frobread", " frobwork", " frobthink"]);
    assert!(delta.forget(&spelling, " frobwork") && !delta.forget(&spelling, " frobwork"));
    assert_eq!(delta, learned(&spelling, [" frobread", " frobthink"]));
}
