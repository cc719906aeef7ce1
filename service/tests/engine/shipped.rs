//! With the bundle that is shipped.

use super::*;

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
fn a_common_misspelling_is_replaced_and_never_offered_whoever_writes_it() {
    for (draft, word, replace) in [
        ("Did you recieve", "receive", 7),
        ("Please send me teh", "the", 3),
        ("I will definately", "definitely", 10),
        ("Each in a seperate", "separate", 8),
        ("Thier", "Their", 5),
        ("See you on thrusday", "Thursday", 8),
    ] {
        let memory = Arc::new(RwLock::new(shipped().new_memory()));
        let of =
            |draft: &str| Request { memory: Some(Arc::clone(&memory)), corrections: true, ..request(draft) };
        let first = || complete(shipped(), of(draft)).suggestions.remove(0);
        let is_right =
            |s: &Suggestion| s.replace == replace && s.text.starts_with(word) && s.confidence > 0.5;
        assert!(is_right(&first()), "{draft}: {:?}", first());
        for _ in 0..3 {
            memory.write().expect("not poisoned").learn(draft, Role::Author);
        }
        // A capital may make a name of it that the writer uses.
        assert!(is_right(&first()) || draft == "Thier", "{draft}, learned: {:?}", first());
        let misspelt = draft.rsplit(' ').next().expect("a word");
        for begun in [draft.len() - 1, draft.len() - misspelt.len(), 1] {
            let rest = complete(shipped(), of(&draft[..begun])).suggestions;
            let says = |s: &Suggestion| {
                format!("{}{}", &draft[..begun], s.text).split(' ').any(|word| word == misspelt)
            };
            assert!(draft == "Thier" || !rest.iter().any(says), "{draft} at {begun}: {rest:?}");
        }
    }
}

#[test]
fn what_is_likely_to_begin_a_listed_word_is_left_alone() {
    for draft in ["I am looking for", "Please call me tom", "The calen", "You are successful", "We can form"]
    {
        assert_eq!(corrected(request(draft)), [], "{draft}");
    }
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
fn a_number_goes_on_as_it_was_said_or_not_at_all() {
    let digits = |context: Vec<Turn>| {
        let request =
            Request { context, max_suggestions: 5, min_confidence: Some(0.0), ..request("The total is $45") };
        let suggestions = complete(shipped(), request).suggestions;
        let texts: Vec<_> = suggestions.into_iter().map(|s| s.text).collect();
        let first =
            |text: &String| text.split(' ').next().is_some_and(|word| word.contains(char::is_numeric));
        texts.into_iter().filter(first).collect::<Vec<_>>()
    };
    assert_eq!(digits(Vec::new()), [""; 0]);
    let said = Turn { role: Role::Customer, text: "Did it cost 4519 dollars?".to_owned() };
    let heard = digits(vec![said]);
    assert!(heard.first().is_some_and(|text| text.starts_with("19")) && heard.len() == 1, "{heard:?}");
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
