//! The engine as the HTTP layer asks it: first with a fixed predictor, then with the shipped bundle.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use expect_test::{Expect, expect};
use foretype::engine::{
    Completion, Deadline, Early, Effort, Engine, Kind, Memory, Outcome, Predictor, Request, SessionKey,
    Settings, Shuffle, Silence, Source, Status, Turn,
};
use foretype::ensemble::weights::ALONE;
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

#[test]
fn the_shipped_bundle_finishes_a_greeting() {
    let completion = complete(shipped(), request("Thanks for calling, I can he"));
    assert!(completion.suggestions[0].text.starts_with("lp you"), "{completion:?}");
    assert!(completion.suggestions[0].confidence > 0.6, "{completion:?}");
    let gpt2 = completion.predictors[Predictor::Gpt2 as usize];
    assert_eq!(gpt2, (Predictor::Gpt2, Status::Used));
}

/// What the shipped bundle would put in place of the last word, and how many characters of it.
fn corrected(request: Request) -> Vec<(String, usize)> {
    let completion = complete(shipped(), Request { corrections: true, ..request });
    let replacing = completion.suggestions.into_iter().filter(|s| s.replace > 0);
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    replacing.map(|s| (word(&s.text), s.replace)).collect()
}

#[test]
fn a_mistyped_word_is_replaced_where_that_is_asked_for() {
    for (draft, word, replace) in [
        ("Your ballan", "balance", 6),
        ("Could you please chekc", "check", 5),
        ("I will ocnfi", "confirm", 5),
        ("THANSK", "THANKS", 6),
    ] {
        assert_eq!(corrected(request(draft)).first(), Some(&(word.to_owned(), replace)), "{draft}");
        let plain = complete(shipped(), request(draft));
        assert!(plain.suggestions.iter().all(|s| s.replace == 0), "{draft}: nobody asked: {plain:?}");
    }
    for draft in ["Your bal", "Your balance", "Thanks, I", "See x86", "INV-2041", "I was in Zyxqv"] {
        assert_eq!(corrected(request(draft)), [], "{draft}");
    }
}

#[test]
fn a_word_the_writer_uses_is_no_mistake() {
    let learned = [
        ("The ballance wheel", "Your ballan"),
        ("Ballance wheels are in stock", "Your ballan"),
        ("Wheels (ballance) are in stock", "Your ballan"),
        ("The ballance wheel", "Your ballances"),
    ];
    for (message, draft) in learned {
        let memory = Arc::new(RwLock::new(shipped().new_memory()));
        assert_ne!(corrected(Request { memory: Some(Arc::clone(&memory)), ..request(draft) }), [], "{draft}");
        memory.write().expect("not poisoned").personal.learn(message, Role::Author);
        assert_eq!(corrected(Request { memory: Some(memory), ..request(draft) }), [], "{message}: {draft}");
    }
    assert_eq!(corrected(request("Ballance wheels: which ballan")), [], "the draft has it");
    let said = vec![Turn { role: Role::Customer, text: "Ballance wheels, please.".to_owned() }];
    assert_eq!(corrected(Request { context: said, ..request("Your ballan") }), [], "the customer has it");
}

#[test]
fn the_end_of_something_longer_is_not_corrected() {
    for draft in ["See example.com/ballan", "Use --ballan", "C:\\ballan", "Re\u{301}ballan"] {
        assert_eq!(corrected(request(draft)), [], "{draft}");
    }
    assert_ne!(corrected(request("Ballan")), [], "all of the text");
}

#[test]
fn a_replacement_is_not_typed_through_and_stays_rejected() {
    let engine = shipped();
    let ask = |text: &str| {
        let request = Request { session: session("corrections"), max_suggestions: 1, ..request(text) };
        complete(engine, Request { corrections: true, ..request })
    };
    let first = ask("Your ballanc");
    assert_eq!(
        (first.suggestions[0].text.split(' ').next(), first.suggestions[0].replace),
        (Some("balance"), 7)
    );
    // "b" is how the replacement begins, but it is not what it would say here.
    assert_eq!(ask("Your ballancb").source, Source::Models);
    engine.outcome(&ask("Your ballanc").record, 0, Outcome::Rejected);
    let later = ask("Your ballance");
    assert!(later.suggestions.iter().all(|s| !s.text.starts_with("balance ")), "{later:?}");
}

#[test]
fn the_conversation_steers_it() {
    let ask = |context: Vec<Turn>| {
        let completion = complete(shipped(), Request { context, ..request("Your ") });
        completion.suggestions.iter().map(|s| s.text.clone()).collect::<Vec<_>>()
    };
    let said = |text: &str| vec![Turn { role: Role::Customer, text: text.to_owned() }];
    assert_ne!(ask(said("Please book a bus to San Diego.")), ask(said("What is my account balance?")));
}

#[test]
fn who_foresees_what_is_learned_of_conversations_and_of_other_texts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let said = [Turn { role: Role::Customer, text: "My parcel is late.".into() }];
    let answers = |context: &[Turn]| {
        let losses = shipped().losses("I am sorry.", Role::Agent, context, None, None, Effort::IMPORTING);
        runtime.block_on(losses).0.iter().map(|loss| usize::from(loss.bucket) >= ALONE).collect::<Vec<_>>()
    };
    assert_eq!(answers(&said), [true; 4], "a word each, and the stop");
    assert_eq!(answers(&[]), [false; 4]);
}

#[test]
fn a_writer_is_answered_in_their_own_words() {
    let engine = shipped();
    let memory = Arc::new(RwLock::new(engine.new_memory()));
    let ask = || {
        let request = Request { memory: Some(Arc::clone(&memory)), ..request("The quarterly zorb") };
        complete(engine, request).suggestions.first().map(|s| s.text.clone()).unwrap_or_default()
    };
    assert!(!ask().starts_with("latt"), "nobody has taught it yet");
    for _ in 0..3 {
        let mut guard = memory.write().expect("not poisoned");
        let Memory { personal, .. } = &mut *guard;
        personal.learn(&segment::normalise("The quarterly zorblatt review is done."), Role::Agent);
    }
    assert!(ask().starts_with("latt review"), "{}", ask());
}

#[test]
fn spelling_alone_learns_the_writers_words() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let settings = Settings::new(bundle, vec![Predictor::Charlm]);
    let engine = Engine::open(&settings).unwrap_or_else(|error| panic!("{error}"));
    let memory = Arc::new(RwLock::new(engine.new_memory()));
    let ask = |text: &str| {
        let request = Request { memory: Some(Arc::clone(&memory)), corrections: true, ..request(text) };
        complete(&engine, request).suggestions.first().map(|s| s.text.clone()).unwrap_or_default()
    };
    assert!(!ask("A zorb").starts_with("latt"), "nobody has taught it yet");
    for _ in 0..2 {
        memory.write().expect("not poisoned").personal.learn("The zorblatt review", Role::Author);
    }
    assert!(ask("A zorb").starts_with("latt "), "whatever came before: {}", ask("A zorb"));
}

#[test]
fn a_writers_identifiers_make_new_ones_likelier_for_that_writer_alone() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundle");
    let settings = Settings::new(bundle, vec![Predictor::Charlm]);
    let engine = Engine::open(&settings).unwrap_or_else(|error| panic!("{error}"));
    let [anna, ben] = [(); 2].map(|()| Arc::new(RwLock::new(engine.new_memory())));
    let first = |memory: &Arc<RwLock<Memory>>, text: &str| {
        let request = Request { memory: Some(Arc::clone(memory)), max_suggestions: 1, ..request(text) };
        complete(&engine, request)
            .suggestions
            .first()
            .map_or((String::new(), 0.0), |s| (s.text.clone(), s.confidence))
    };
    let (known, before) = first(&anna, "Restart nova_compute_man");
    assert_eq!(known, "ager ", "the lexicon has that");
    for name in ["nova_compute_driver", "nova_network_manager", "cinder_volume_manager", "nova_compute_rpc"] {
        anna.write().expect("not poisoned").learn(&format!("Fixed {name} today"), Role::Author);
        ben.write().expect("not poisoned").learn("Fixed it today", Role::Author);
    }
    let sure = |memory| first(memory, "Restart nova_compute_man").1;
    assert!(sure(&anna) > before + 0.1 && (sure(&ben) - before).abs() < 0.01, "{before}");
    let begun = "Restart nova_compute_m";
    assert!(first(&anna, begun).0.starts_with("anager"), "{:?}", first(&anna, begun));
    assert!(!first(&ben, begun).0.starts_with("anager"), "{:?}", first(&ben, begun));
}

#[test]
fn strange_texts_get_an_answer_or_silence() {
    let long = "x".repeat(10_000);
    let texts = [
        "",
        "   ",
        "\0",
        "a\0b\u{7}",
        "😀😀",
        "I ❤️ 👩‍👩‍👧",
        "👩‍",
        "帮助",
        "مرحبا كيف",
        "שלום ע",
        "e\u{301}te\u{301}",
        "\u{301}",
        "don'",
        "3.",
        "3.5",
        "...",
        "(",
        "a-b-",
        "\n\n",
        "\u{feff}",
        "\u{202e}abc",
        &long,
        "ﬁ",
        "İstanbul i̇",
        "<|endoftext|>",
        "<|agent|>",
    ];
    for text in texts {
        for after in ["", " and more", "more"] {
            let request = Request { after: after.to_owned(), session: session("strange"), ..request(text) };
            let text = request.text.clone();
            let completion = complete(shipped(), request);
            assert_eq!(completion.suggestions.is_empty(), completion.silence.is_some(), "{text:?}");
            for suggestion in completion.suggestions {
                let joined = format!("{text}{}", suggestion.text);
                let cut = joined.grapheme_indices(true).any(|(at, _)| at == text.len());
                assert!(cut || text.is_empty(), "{text:?} + {:?} joins a grapheme", suggestion.text);
                assert!((0.0..=1.0).contains(&suggestion.confidence));
                assert!(!suggestion.text.contains(char::is_control), "{:?}", suggestion.text);
            }
        }
    }
}

#[test]
fn a_deadline_that_has_passed_is_answered_by_the_fast_tier() {
    let late =
        Request { deadline: Deadline::after(Duration::ZERO), ..request("Thanks for calling, I can he") };
    let completion = complete(shipped(), late);
    assert_eq!(completion.predictors[Predictor::Gpt2 as usize].1, Status::Skipped);
    assert_eq!(completion.predictors[Predictor::Domain as usize].1, Status::Used);
    assert!(completion.suggestions[0].text.starts_with("lp"), "{completion:?}");
}

#[test]
fn a_list_stays_a_list_while_its_first_is_typed() {
    let ask = |text: &str| complete(shipped(), Request { session: session("list"), ..request(text) });
    let list = ask("The customer |");
    assert_eq!(list.suggestions.len(), 3);
    let typed = list.suggestions[0].text.chars().next().expect("it is not empty");
    let rest = ask(&format!("The customer {typed}|"));
    assert_eq!((rest.source, rest.suggestions.len()), (Source::TypeThrough, 3), "{:?}", rest.suggestions);
    let firsts: Vec<_> = rest.suggestions.iter().map(|s| s.text.split(' ').next()).collect();
    assert!(
        firsts.iter().all(|first| firsts.iter().filter(|other| other == &first).count() == 1),
        "{firsts:?}"
    );
}

#[test]
fn the_fast_tier_is_heard_while_the_other_is_at_work() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let status = |completion: &Completion| completion.predictors[Predictor::Gpt2 as usize].1;
    let mut heard = Vec::new();
    let mut hear = |early| heard.push(early);
    let early = Early { after: Duration::ZERO, hear: &mut hear };
    // So much to read that it is at work for a while.
    let long = "My order has not arrived, and I have been waiting for it for two weeks now. ".repeat(8);
    let context = vec![Turn { role: Role::Customer, text: long }];
    let asked =
        Request { session: session("early"), context: context.clone(), ..request("I am sorry to h|") };
    let whole = runtime.block_on(shipped().complete_in_stages(asked, Some(early)));
    let [early] = &heard[..] else { panic!("heard {} times", heard.len()) };
    assert_eq!((status(early), status(&whole)), (Status::Late, Status::Used));
    assert!(
        early.suggestions[0].text.starts_with("ear") && early.neural.is_none(),
        "{:?}",
        early.suggestions
    );

    // The writer types what it said: nobody else is asked, so there is nothing to be early for.
    let mut hear = |_| panic!("nothing was waited for");
    let early = Early { after: Duration::ZERO, hear: &mut hear };
    let asked = Request { session: session("early"), context, ..request("I am sorry to he|") };
    let rest = runtime.block_on(shipped().complete_in_stages(asked, Some(early)));
    assert_eq!(rest.source, Source::TypeThrough);
}

#[test]
fn what_was_prepared_is_not_read_again() {
    let customer = |text: &str| Turn { role: Role::Customer, text: text.to_owned() };
    let long = "My order has not arrived, and I have been waiting for it for two weeks now. ".repeat(4);
    let asked = |name: &str| Request {
        session: session(name),
        context: vec![customer(&long)],
        debug: true,
        ..request("I am sorry to h|")
    };
    let neural = |completion: &Completion| completion.neural.expect("it was asked");
    let cold = complete(shipped(), asked("cold"));
    shipped().prepare(&asked("warm"));
    // It gives way to a question: let it come to its end first.
    std::thread::sleep(Duration::from_millis(500));
    let warm = complete(shipped(), asked("warm"));
    assert_eq!(warm.suggestions.len(), cold.suggestions.len());
    let (warm, cold) = (neural(&warm).tokens, neural(&cold).tokens);
    assert!(warm + 60 < cold, "{warm} and {cold} tokens");
}

#[test]
fn the_same_question_has_the_same_answer() {
    let ask = || complete(shipped(), request("We will review the monetary pol")).suggestions;
    assert_eq!(ask(), ask());
}
