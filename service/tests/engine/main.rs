//! The engine as the HTTP layer asks it: here with a fixed predictor, in `shipped` with the shipped bundle.

mod shipped;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use expect_test::{Expect, expect};
use foretype::engine::{
    Completion, Deadline, Early, Effort, Engine, Kind, Memory, Outcome, Predictor, Request, SessionKey,
    Settings, Shuffle, Silence, Source, Status, Suggestion, Turn,
};
use foretype::ensemble::bucket::ALONE;
use foretype::writer::{Blocked, Snippet, Snippets};
use foretype_markov::{Role, segment};
use unicode_segmentation::UnicodeSegmentation;

fn request(text: &str) -> Request {
    // `|` is the cursor; what follows it is `after`.
    let (text, after) = text.split_once('|').unwrap_or((text, ""));
    Request {
        after: after.to_owned(),
        role: Role::Agent,
        max_suggestions: 3,
        min_confidence: Some(0.0),
        ..Request::new(text, Deadline::after(Duration::from_secs(5)))
    }
}

fn session(name: &str) -> Option<SessionKey> {
    Some(SessionKey { tenant: "t".into(), writer: None, session: name.into() })
}

fn complete(engine: &Engine, request: Request) -> Completion {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(engine.complete(request))
}

fn small() -> Engine {
    thin(&[(" help", 0.12), (" hello", 0.04), (" you", 0.13), (" with", 0.1), (".", 0.01)])
}

/// Some words, and the rest of the mass thinly spread: nothing is likely enough to go on with.
fn thin(words: &[(&str, f32)]) -> Engine {
    let fillers: Vec<_> = (0..60).map(|i| format!(" f{i}")).collect();
    let left = (1.0 - words.iter().map(|(_, p)| p).sum::<f32>()) / fillers.len() as f32;
    let fillers = fillers.iter().map(|word| (word.as_str(), left));
    Engine::fixed(&words.iter().copied().chain(fillers).collect::<Vec<_>>())
}

/// What the small engine says at the cursor, or why it is silent.
#[expect(clippy::needless_pass_by_value, reason = "so that the expectation can stand in the call")]
fn check(text: &str, expected: Expect) {
    let completion = complete(&small(), request(text));
    let shown: Vec<_> = completion.suggestions.iter().map(|s| s.text.as_str()).collect();
    let said = completion.silence.map_or_else(|| format!("{shown:?}"), |reason| reason.name().to_owned());
    expected.assert_eq(&said);
}

#[test]
fn finishes_the_word_at_the_cursor() {
    check("I can he|", expect![[r#"["lp ", "llo "]"#]]);
    check("I can hel|", expect![[r#"["p ", "lo "]"#]]);
}

#[test]
fn what_reads_wrong_is_not_shown() {
    let shown = |words: &[(&str, f32)], text: &str| {
        let completion = complete(&Engine::fixed(words), request(text));
        let texts: Vec<_> = completion.suggestions.into_iter().map(|suggestion| suggestion.text).collect();
        (texts, completion.silence)
    };
    assert_eq!(shown(&[(" <", 0.9)], "Call me at "), (Vec::new(), Some(Silence::PrivateData)));
    assert_eq!(shown(&[(" !", 0.9)], "Hello there "), (Vec::new(), Some(Silence::NoCandidate)));
    assert_eq!(shown(&[(" you", 0.9)], "Hello there ").0, ["you "]);
    let words = [(" Bob", 0.5), (" Call", 0.5)];
    let goes_on = |text| shown(&words, text).0.iter().any(|text| text.starts_with(" Call"));
    assert!(!goes_on("Call Bob\nCall Bob") && goes_on("Call Bob\nand Bob") && goes_on("Call Bob Call Bob"));
}

#[test]
fn goes_on_after_a_finished_word() {
    check("I can help|", expect![[r#"[" help ", " you ", " with "]"#]]);
    check("I can |", expect![[r#"["help ", "you ", "with "]"#]]);
}

#[test]
fn says_why_it_is_silent() {
    check("|", expect!["empty_text"]);
    check("  |", expect!["empty_text"]);
    check("I zzz|", expect!["no_candidate"]);
    check("I 20419|", expect!["number"]);
    check("帮助你|", expect!["unknown_script"]);
    check("I can he|lp you", expect!["repeats_after"]);
    check("I can zz|", expect!["no_candidate"]);
}

#[test]
fn what_follows_the_cursor_is_not_said_again() {
    check("I can |help me", expect![[r#"["you ", "with ", "hello "]"#]]);
    check("I can he|, please", expect![[r#"["lp", "llo"]"#]]);
}

#[test]
fn the_threshold_silences_and_zero_does_not() {
    let shy = Request { min_confidence: Some(0.9), ..request("I can |") };
    assert_eq!(complete(&small(), shy).silence, Some(Silence::LowConfidence));
}

#[test]
fn typing_what_it_said_keeps_the_rest() {
    let engine = small();
    let ask = |text: &str| complete(&engine, Request { session: session("through"), ..request(text) });
    let first = ask("I can he");
    assert_eq!((first.source, first.suggestions[0].text.as_str()), (Source::Models, "lp "));
    let second = ask("I can hel");
    assert_eq!((second.source, second.suggestions[0].text.as_str()), (Source::TypeThrough, "p "));
    // The rest may be empty of words: then the models are asked again.
    assert_eq!(ask("I can help ").source, Source::Models);
}

#[test]
fn what_was_seen_and_typed_out_makes_way() {
    let engine = thin(&[(" help", 0.12), (" hello", 0.1)]);
    let ask = |name: &str, text: &str| {
        complete(&engine, Request { session: session(name), max_suggestions: 1, ..request(text) })
    };
    let said = |completion: &Completion| completion.suggestions[0].text.trim_end().to_owned();
    assert_eq!(said(&ask("typed", "I can he")), "lp");
    let second = ask("typed", "I can hel");
    assert_eq!((second.source, said(&second).as_str()), (Source::Models, "lo"), "0.12 · 0.4 against 0.1");
    let third = ask("typed", "I can hell");
    assert_eq!((said(&third).as_str(), &third.record.looks[0].passed), ("o", &[1.0, 0.0, 0.0]));
    // Asked for without having seen it, or after taking a word, it is as likely as ever.
    assert_eq!(said(&ask("fresh", "I can hel")), "p");
    assert_eq!(said(&ask("typed", "And he")), "lp");
}

#[test]
fn who_takes_everything_right_is_believed_to_have_meant_something_else() {
    let engine = thin(&[(" help", 0.12), (" hello", 0.04)]);
    let second = |took: &[u16]| {
        let mut memory = engine.new_memory();
        took.iter().for_each(|passed| memory.attention.took(0, 256, [passed * 256, 0, 0]));
        let memory = Some(Arc::new(RwLock::new(memory)));
        let ask = |text: &str| {
            let session = session(&format!("{took:?}"));
            complete(
                &engine,
                Request { session, memory: memory.clone(), max_suggestions: 1, ..request(text) },
            )
        };
        ask("I can he");
        ask("I can hel").suggestions[0].text.trim_end().to_owned()
    };
    assert_eq!(second(&[]), "p");
    assert_eq!(second(&[0; 60]), "lo");
    assert_eq!(second(&[3; 60]), "p", "who looks up now and then may have missed it");
}

#[test]
fn a_snippet_is_offered_whole_where_it_is_begun() {
    let engine = thin(&[(" help", 0.12), (" hello", 0.04)]);
    let mut memory = engine.new_memory();
    let kept = |trigger: Option<&str>, text: &str| Snippet {
        trigger: trigger.map(str::to_owned),
        text: text.to_owned(),
    };
    let regards = "Kind regards,\nAnn Ota\n+81 3 1234 5678";
    memory.snippets =
        Snippets(vec![kept(Some(";sig"), regards), kept(None, "help yourself to the biscuits")]);
    let memory = Some(Arc::new(RwLock::new(memory)));
    let ask = |text: &str, corrections: bool| {
        let session = session("snippets");
        complete(&engine, Request { session, memory: memory.clone(), corrections, ..request(text) })
    };
    let begun = ask("So, Kind reg", false);
    let first = &begun.suggestions[0];
    assert_eq!((first.text.as_str(), first.kind), ("ards,\nAnn Ota\n+81 3 1234 5678", Kind::Snippet));
    assert_eq!((first.predictor, first.replace), (Predictor::Snippet, 0));
    assert!(begun.predictors.iter().all(|(who, _)| *who != Predictor::Snippet), "no member of the mixture");
    let called = ask("So ;sig", true);
    assert_eq!((called.suggestions[0].text.as_str(), called.suggestions[0].replace), (regards, 4));
    assert!(
        ask("So ;sig", false).suggestions.iter().all(|s| s.kind != Kind::Snippet),
        "the client cannot replace"
    );
    // Typed along, its rest stays; dismissed, it does not come back there.
    ask("So, Kind reg", false);
    let through = ask("So, Kind rega", false);
    assert_eq!((through.source, through.suggestions[0].kind), (Source::TypeThrough, Kind::Snippet));
    engine.outcome(&through.record, 0, Outcome::Rejected);
    assert!(ask("So, Kind rega", false).suggestions.iter().all(|s| s.kind != Kind::Snippet));
    let both = ask("I can hel", false);
    assert_eq!(
        both.suggestions.iter().map(|s| s.text.trim_end()).collect::<Vec<_>>(),
        ["p yourself to the biscuits", "lo"]
    );
    assert!(
        complete(&engine, request("So, Kind reg")).suggestions.iter().all(|s| s.kind != Kind::Snippet),
        "of one writer only"
    );
}

#[test]
fn snippets_take_no_words_place_and_repeat_nothing() {
    let engine = thin(&[(" help", 0.12), (" hello", 0.04)]);
    let mut memory = engine.new_memory();
    let kept = |text: String| Snippet { trigger: None, text };
    memory.snippets =
        Snippets((0..40).map(|i| kept(format!("help is {i} minutes away, said one"))).collect());
    let memory = Some(Arc::new(RwLock::new(memory)));
    let ask = |text: &str, after: &str| {
        let request = Request { memory: memory.clone(), after: after.to_owned(), ..request(text) };
        complete(&engine, request).suggestions
    };
    let list = ask("I can hel", "");
    assert_eq!(list[0].kind, Kind::Snippet);
    assert_eq!(list.iter().filter(|s| s.text.trim_end() == "lo").count(), 1, "{list:?}");
    let texts = |after| ask("I can help", after).into_iter().map(|s| s.text).collect::<Vec<_>>();
    assert!(texts("").iter().any(|text| text.ends_with(" minutes away, said one")), "{:?}", texts(""));
    assert!(
        texts(" is close").iter().all(|text| !text.contains("minutes")),
        "what follows stands there already"
    );
    assert!(texts(" away").iter().any(|text| text.contains("away, said one")), "half a snippet is none");
}

/// What is shown to a writer with these words blocked.
fn shown_but_for(blocked: &[&str], engine: &Engine, request: Request) -> Completion {
    let mut memory = engine.new_memory();
    memory.blocked = Arc::new(Blocked::new(blocked.iter().map(|word| (*word).to_owned()).collect()));
    let kept = |text: &str| Snippet { trigger: Some(";s".into()), text: text.to_owned() };
    memory.snippets = Snippets(vec![kept("Kind regards,\nAnn")]);
    complete(engine, Request { memory: Some(Arc::new(RwLock::new(memory))), ..request })
}

fn texts(completion: &Completion) -> Vec<&str> {
    completion.suggestions.iter().map(|suggestion| suggestion.text.trim()).collect()
}

#[test]
fn blocked_words_are_not_shown() {
    let engine = small();
    let ask = |blocked: &[&str], text: &str| shown_but_for(blocked, &engine, request(text));
    assert_eq!(texts(&ask(&[], "I can he|")), ["lp", "llo"]);
    assert_eq!(texts(&ask(&["HELP"], "I can he|")), ["llo"]);
    assert_eq!(texts(&ask(&["hel"], "I can he|")), ["lp", "llo"], "a part of a word");
    let none = ask(&["help", "Hello"], "I can he|");
    assert_eq!((texts(&none), none.silence), (vec![], Some(Silence::Blocked)));
    assert_eq!(texts(&ask(&["can help"], "I can he|")), ["llo"], "a phrase that the draft begins");
    assert_eq!(ask(&["zebra"], "I zzz|").silence, Some(Silence::NoCandidate), "nothing was missed");
    let shy = Request { min_confidence: Some(0.9), ..request("I can |") };
    assert_eq!(shown_but_for(&["help"], &engine, shy).silence, Some(Silence::LowConfidence));
}

#[test]
fn a_phrase_stops_before_a_blocked_word() {
    let engine = Engine::fixed(&[(" help", 0.2), (" you", 0.7)]);
    let ask =
        |blocked: &[&str]| shown_but_for(blocked, &engine, request("I can he|")).suggestions[0].text.clone();
    let whole = ask(&[]);
    assert!(whole.starts_with("lp you"), "{whole}");
    assert_eq!(ask(&["You"]), "lp ");
    assert_eq!(ask(&["help you"]), "lp ");
}

#[test]
fn snippets_and_corrections_are_blocked_too() {
    let engine = thin(&[(" help", 0.12)]);
    let called = |blocked: &[&str]| {
        let request = Request { corrections: true, max_suggestions: 1, ..request("So Kind r|") };
        shown_but_for(blocked, &engine, request).suggestions.iter().any(|s| s.kind == Kind::Snippet)
    };
    assert!(called(&[]) && called(&["kind"]), "that is typed already");
    assert!(!called(&["ann"]) && !called(&["kind regards"]), "half a snippet is none");
    let corrected = |blocked: &[&str]| {
        let request = Request { corrections: true, ..request("Your ballan|") };
        let completion = shown_but_for(blocked, shipped(), request);
        completion.suggestions.iter().any(|s| s.replace > 0 && s.text.starts_with("balance"))
    };
    assert!(corrected(&[]) && !corrected(&["Balance"]));
}

#[test]
fn what_is_blocked_meanwhile_is_not_typed_through() {
    let engine = small();
    let memory = Arc::new(RwLock::new(engine.new_memory()));
    let ask = |text: &str| {
        let (session, memory) = (session("meanwhile"), Some(Arc::clone(&memory)));
        complete(&engine, Request { session, memory, ..request(text) })
    };
    assert_eq!(texts(&ask("I can he")), ["lp", "llo"]);
    memory.write().expect("not poisoned").blocked = Arc::new(Blocked::new(vec!["help".into()]));
    let second = ask("I can hel");
    assert_eq!((second.source, texts(&second)), (Source::Models, vec!["lo"]));
}

#[test]
fn who_blocks_words_that_are_not_read_yet_is_shown_nothing() {
    let completion = complete(&small(), Request { unread: true, ..request("I can he|") });
    assert_eq!((texts(&completion), completion.silence), (vec![], Some(Silence::Blocked)));
}

#[test]
fn lists_are_shuffled_below_the_first() {
    let engine = thin(&[(" a", 0.3), (" be", 0.2), (" can", 0.15), (" do", 0.1), (" eat", 0.05)]);
    let ask = |name: &str, shuffle: Option<Shuffle>| {
        let (session, max_suggestions) = (session(name), 5);
        complete(&engine, Request { session, max_suggestions, shuffle, ..request("I |") })
    };
    let ranked = ask("ranked", None);
    assert!(ranked.suggestions.len() == 5 && ranked.record.looks.iter().all(|look| look.weight == 1.0));
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        let name = format!("shuffled {seed}");
        let shuffled = ask(&name, Some(Shuffle::new(0.5, seed)));
        assert_eq!(texts(&shuffled)[0], texts(&ranked)[0]);
        let sorted = |completion: &Completion| {
            texts(completion).into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(sorted(&shuffled), sorted(&ranked));
        orders.insert(texts(&shuffled).join(" "));
        // What is dismissed is what stood there.
        let dismissed = shuffled.suggestions[3].text.clone();
        engine.outcome(&shuffled.record, 3, Outcome::Rejected);
        assert!(ask(&name, None).suggestions.iter().all(|s| s.text != dismissed));
    }
    assert!((4..=20).contains(&orders.len()), "{orders:?}");
    let as_ranked = ask("as ranked", Some(Shuffle::new(0.0, 3)));
    assert_eq!(texts(&as_ranked), texts(&ranked));
}

#[test]
fn a_rejected_suggestion_does_not_come_back_there() {
    let engine = small();
    let ask = |text: &str| {
        complete(&engine, Request { session: session("reject"), max_suggestions: 1, ..request(text) })
    };
    let first = ask("I can he");
    engine.outcome(&first.record, 0, Outcome::Rejected);
    assert_eq!(ask("I can he").suggestions[0].text.trim(), "llo");
    assert!(ask("I can hel").suggestions.iter().all(|s| !s.text.starts_with("p ")), "nor a letter later");
    assert_eq!(ask("And he").suggestions[0].text, "lp ", "elsewhere it may");
}

/// The shipped bundle, loaded once.
fn shipped() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
        let predictors = Predictor::ALL.to_vec();
        let settings = Settings { kv_bytes: 32 << 20, ..Settings::new(bundle, predictors) };
        Engine::open(&settings).unwrap_or_else(|error| panic!("{error}"))
    })
}
