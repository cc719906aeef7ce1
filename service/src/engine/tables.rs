//! What all members say about one place: here, and one word later if the prefix may be a finished word.

use foretype_markov::segment;
use foretype_models::{Continuation, Word, Words};

use super::corrections::Meant;
use super::members::Known;
use super::place::{Place, recent_turns};
use super::{Engine, Predictor, Request, Status, read};
use crate::ensemble::mixture::{Learned, Table, Views, prefix_class};
use crate::ensemble::weights::MEMBERS;
use crate::inference::{Depth, Question, Text};
use crate::writer::Team;

/// Candidates each member of the fast tier may propose.
const PROPOSALS: usize = 8;

/// The same one word later.
const NEXT_PROPOSALS: usize = 6;

/// A prefix less likely to be a whole word is only completed, not continued.
const LEAST_DONE: f32 = 0.02;

/// Fast candidates the neural tier is asked to score, here and one word later.
const ASKED: (usize, usize) = (6, 4);

/// Passes of the network the neural tier may spend on one keystroke.
const PASSES: usize = 6;

/// Words of neural continuation.
const PHRASE: usize = 6;

const GPT2: usize = Predictor::Gpt2 as usize;

/// The tables of one place.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// The unfinished surface is completed.
    pub(crate) here: Table,
    /// It was whole: what follows it.
    pub(crate) next: Option<Table>,
    /// Words that a mistyped prefix was to be.
    pub(super) meant: Meant,
    /// What the neural tier goes on with after the likeliest first words.
    pub(crate) phrases: Vec<Continuation>,
}

impl Engine {
    /// Runs `f` with the views of a place, under the read locks of writer and team.
    pub(super) fn with_views<T>(
        &self,
        place: &Place<'_>,
        request: &Request,
        f: impl FnOnce(&Views<'_>, Learned<'_>) -> T,
    ) -> T {
        let guards = (request.memory.as_deref().map(read), request.team.as_deref().map(Team::read));
        let known = Known { memory: guards.0.as_deref(), team: guards.1.as_deref() };
        let query = place.query();
        let members = self.members(known, query.conversation);
        f(&members.views(&query), known.weights())
    }

    /// The fast tier: microseconds, always an answer.
    pub(crate) fn fast(&self, place: &Place<'_>, request: &Request) -> Tables {
        self.with_views(place, request, |views, learned| {
            let prefix = place.cut.prefix;
            let mut here = Table::gather(views, prefix, PROPOSALS, &self.bundle.ensemble.prior, learned);
            let meant = self.corrections(views, &mut here, place, request);
            let next = (here.done() > LEAST_DONE).then(|| self.next(views, prefix, learned));
            Tables { here, next, meant, phrases: Vec::new() }
        })
    }

    fn next(&self, views: &Views<'_>, prefix: &str, learned: Learned<'_>) -> Table {
        let after = after(views, prefix);
        Table::gather(&after, "", NEXT_PROPOSALS, &self.bundle.ensemble.prior, learned)
    }

    /// What to ask the neural tier about this place.
    pub(crate) fn question(
        &self,
        place: &Place<'_>,
        normal: &str,
        tables: &Tables,
        request: &Request,
    ) -> Question {
        Question {
            text: neural_text(request, &normal[..normal.len() - place.cut.prefix.len()]),
            prefix: place.cut.prefix.to_owned(),
            candidates: best(&tables.here, ASKED.0),
            next_candidates: tables.next.as_ref().map(|next| best(next, ASKED.1)).unwrap_or_default(),
            depth: Depth { passes: PASSES, narrow: false },
            phrase_words: PHRASE,
            deadline: request.deadline,
            session: request.session.clone(),
            read_later: request.look_ahead,
        }
    }

    /// Adds what the neural tier said; its new words are scored by everybody.
    pub(crate) fn merge(
        &self,
        tables: &mut Tables,
        question: &Question,
        words: &Words,
        place: &Place<'_>,
        request: &Request,
    ) -> Status {
        if words.mass <= 0.0 {
            return if words.complete { Status::Empty } else { Status::Late };
        }
        self.with_views(place, request, |views, learned| {
            let here = &mut tables.here;
            here.wake(Predictor::Gpt2, words.mass, words.done * words.mass);
            tables.meant.doubt(here);
            let asked = question.candidates.iter().zip(words.candidates.iter().copied());
            for (surface, p) in asked {
                if let Some(row) = here.rows.iter_mut().find(|row| row.surface == *surface) {
                    row.probs[GPT2] = p * words.mass;
                }
            }
            for word in &words.top {
                here.propose(&word.surface, Predictor::Gpt2, views).probs[GPT2] = word.prob * words.mass;
            }
            here.settle(Predictor::Gpt2, |surface| said(surface, &question.candidates, &words.top));
            if tables.next.is_none() && here.done() > LEAST_DONE {
                tables.next = Some(self.next(views, place.cut.prefix, learned));
            }
            let Some(next) = &mut tables.next else { return };
            if words.after_done.is_empty() && words.after_done_candidates.is_empty() {
                // It did not look beyond the prefix: asleep there.
                return;
            }
            let later = after(views, place.cut.prefix);
            next.mass[GPT2] = Some(1.0);
            for (surface, p) in
                question.next_candidates.iter().zip(words.after_done_candidates.iter().copied())
            {
                if let Some(row) = next.rows.iter_mut().find(|row| row.surface == *surface) {
                    row.probs[GPT2] = p;
                }
            }
            for word in &words.after_done {
                next.propose(&word.surface, Predictor::Gpt2, &later).probs[GPT2] = word.prob;
            }
            let asked = &question.next_candidates[..words.after_done_candidates.len()];
            next.settle(Predictor::Gpt2, |surface| said(surface, asked, &words.after_done));
        });
        tables.phrases.clone_from(&words.phrases);
        Status::Used
    }

    /// What became of the members of the fast tier.
    pub(crate) fn fast_statuses(&self, tables: &Tables) -> [Status; MEMBERS] {
        Predictor::ALL.map(|p| match (self.is_enabled(p), tables.here.mass[p as usize]) {
            (false, _) => Status::Off,
            (true, Some(_)) => Status::Used,
            (true, None) => Status::Empty,
        })
    }
}

/// What the GPT-2 reads: what is before the draft, and the draft up to the unfinished surface.
pub(super) fn neural_text(request: &Request, before: &str) -> Text {
    Text {
        turns: super::neural_turns(&request.context, request.memory.as_deref()),
        role: super::neural_role(request.role),
        before: before.to_owned(),
    }
}

/// The same members one surface later.
pub(super) fn after<'a>(views: &Views<'a>, surface: &str) -> Views<'a> {
    views.iter().map(|(predictor, view)| (*predictor, view.after(surface))).collect()
}

/// Whether the neural tier said something of a surface.
fn said(surface: &str, asked: &[String], found: &[Word]) -> bool {
    asked.iter().any(|word| word == surface) || found.iter().any(|word| word.surface == surface)
}

/// The likeliest surfaces of a table.
fn best(table: &Table, count: usize) -> Vec<String> {
    let mut rows: Vec<_> = table.rows.iter().map(|row| (table.mix(&row.probs), &row.surface)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    rows.into_iter().take(count).map(|(_, surface)| surface.clone()).collect()
}

/// What each member gives a known word at a place: how the weights are fitted.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// The evidence bucket.
    pub(crate) bucket: usize,
    /// The class of the prefix.
    pub(crate) class: usize,
    /// P_m(word | history), by [`Predictor`].
    pub(crate) word: [f32; MEMBERS],
    /// P_m(prefix | history); `None`: asleep.
    pub(crate) mass: [Option<f32>; MEMBERS],
}

impl Engine {
    /// Both tiers at one place, waiting for the neural one as long as the request allows.
    pub(crate) async fn consult(&self, place: &Place<'_>, normal: &str, request: &Request) -> Tables {
        let mut tables = self.fast(place, request);
        let question = self.question(place, normal, &tables, request);
        self.ask(place, question, &mut tables, request, None).await;
        tables
    }

    /// What each member gives `truth`, a word that starts with the draft's prefix.
    pub(crate) async fn probe(&self, request: &Request, truth: &str) -> Option<Probe> {
        let normal = segment::normalise(&request.text);
        let turns = recent_turns(&request.context);
        let place = Place::new(&normal, &turns, request);
        let mut tables = self.fast(&place, request);
        self.with_views(&place, request, |views, _| {
            tables.here.propose(truth, Predictor::Charlm, views);
        });
        let mut question = self.question(&place, &normal, &tables, request);
        question.candidates.insert(0, truth.to_owned());
        self.ask(&place, question, &mut tables, request, None).await;
        let row = tables.here.rows.iter().find(|row| row.surface == truth)?;
        Some(Probe {
            bucket: tables.here.bucket,
            class: prefix_class(place.cut.prefix),
            word: row.probs,
            mass: tables.here.mass,
        })
    }
}
