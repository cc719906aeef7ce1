//! How keystrokes are answered, and what becomes of it.

use prometheus::{CounterVec, Histogram, IntCounter, IntCounterVec};

use super::family::{Counts, Family, Unit, families, family, register};
use super::labels::{BECAME, GROUP, KIND, MEMBER, OUTCOME, PROPOSER, SILENCE, SOURCE};
use super::seconds;

families! {
    /// How keystrokes are answered.
    Answers {
        complete: Histogram = seconds("foretype_complete_seconds", "From a keystroke's last byte to its answer.")
            .reading("The promise to writers. `_count` is the number of answers, to which most else is set in relation.");
        over_budget: IntCounter =
            family("foretype_over_budget_total", Unit::Of("answers"), "Answers later than their budget and 1 ms.")
                .reading("At most one in a thousand, at any load. More: the machine is too small, or others use its cores.");
        fast: Histogram = seconds("foretype_fast_tier_seconds", "The fast tier's own time.")
            .reading("p99 stays below 1 ms. Slower: cores are taken by others, or memory is paged out.");
        early: IntCounter = family(
            "foretype_early_answers_total",
            Unit::Of("answers"),
            "Answers of the fast tier sent while the neural tier was at work.",
        )
        .reading("WebSockets only. Grows where the GPT-2 takes longer than 4 ms.");
        sources: IntCounterVec = family("foretype_sources_total", Unit::Of("answers"), "Where answers came from.")
            .by(&[SOURCE])
            .reading("`type_through`: the writer types what was shown. A sign of being right even where nothing is accepted.");
        suggestions: IntCounterVec =
            family("foretype_suggestions_total", Unit::Of("answers"), "Answers with a suggestion, by the first in its list.")
                .by(&[PROPOSER, KIND])
                .reading("Against `foretype_silences_total`: how often something is shown. By predictor: who is behind it.");
        silences: IntCounterVec =
            family("foretype_silences_total", Unit::Of("answers"), "Answers without a suggestion.")
                .by(&[SILENCE])
                .reading("Mostly `low_confidence`. Much `unknown_script` or `no_candidate`: the models do not fit the text.");
        corrections: IntCounter = family(
            "foretype_corrections_total",
            Unit::Of("suggestions"),
            "Suggestions shown that replace a mistyped word.",
        )
        .reading("0 unless clients ask for `corrections`.");
        predictors: IntCounterVec =
            family("foretype_predictors_total", Unit::Of("answers"), "What became of each predictor in each answer.")
                .by(&[MEMBER, BECAME])
                .reading("`gpt2` `used` against `skipped` and `late`: how much of the GPT-2 the load leaves. It goes first. `unasked`: the rest of the last suggestion stays, or nothing can be said. `held_out`: nobody was to be shown anything.");
        saved: IntCounterVec =
            family("foretype_saved_keystrokes_total", Unit::Of("keystrokes"), "Characters that were taken, less the keys pressed for it.")
                .by(&[PROPOSER])
                .reading("What all of this is for. Of plugins too, which do not tell what was sent: it is no share of anything.");
        sent: IntCounter =
            family("foretype_sent_characters_total", Unit::Of("characters"), "Characters in messages that were sent to be learned and in whose drafts suggestions were asked for.")
                .reading("Each message once, none that was held out. 0: no client sends messages, and no share of keystrokes saved can be told.");
        sent_saved: IntCounter =
            family("foretype_sent_saved_keystrokes_total", Unit::Of("keystrokes"), "Keystrokes saved in these messages.")
                .reading("Over `foretype_sent_characters_total`: the share of typing that is saved, both of the same text.");
        appeared: IntCounterVec =
            family("foretype_typed_characters_total", Unit::Of("characters"), "Characters that appeared in drafts with a session, inserted ones included.")
                .by(&[GROUP])
                .reading("Over `foretype_typing_seconds_total`: how fast people write with suggestions, and held out from them.");
        typing: CounterVec =
            family("foretype_typing_seconds_total", Unit::Seconds, "Time that people spent typing, pauses of more than five seconds left out.")
                .by(&[GROUP])
                .reading("As above.");
        outcomes: IntCounterVec = family("foretype_outcomes_total", Unit::Of("outcomes"), "What became of suggestions.")
            .by(&[OUTCOME])
            .reading("`accepted` and `partial` against suggestions shown is the acceptance rate; it falls with whatever goes wrong.");
    }
}
