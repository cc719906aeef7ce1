//! What is told of all time, over restarts: who saved what, and the comparison of speeds. One JSON text among the store's settings,
//! as large as the teams that are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::{Comparison, Count, Ledger, Saved, Totals, Who};

/// Where it is stored.
pub(super) const SETTING: &str = "ledger";

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    since: i64,
    /// By name; of what the tables show.
    counts: BTreeMap<String, u64>,
    teams: Vec<Team>,
    comparison: Comparison,
}

#[derive(Serialize, Deserialize)]
struct Team {
    tenant: Arc<str>,
    team: Option<Arc<str>>,
    saved: u64,
    outcomes: [u64; 3],
}

/// What the tables show by predictor.
const fn is_shown(count: Count) -> bool {
    matches!(count, Count::Saved(_) | Count::Judged(..) | Count::Member(..))
}

/// What is to be stored.
pub(super) fn encode(ledger: &Ledger) -> String {
    let (since, totals) = ledger.of_all_time();
    let counts = Count::all().filter(|count| is_shown(*count));
    let counts = counts.map(|count| (count.name().into_owned(), totals.count(count)));
    let team = |(Who { tenant, team }, Saved { characters, outcomes })| Team {
        tenant,
        team,
        saved: characters,
        outcomes,
    };
    let kept = Kept {
        since,
        counts: counts.filter(|(_, times)| *times > 0).collect(),
        teams: ledger.teams(usize::MAX).into_iter().map(team).collect(),
        comparison: ledger.compared(),
    };
    serde_json::to_string(&kept).expect("numbers and names can be written to memory")
}

/// Has the ledger go on from what was stored. A comparison that began before `share_set` is over.
///
/// # Errors
/// When it cannot be read; the ledger stays as it was.
pub(super) fn restore(ledger: &Ledger, text: &str, share_set: i64) -> Result<(), serde_json::Error> {
    let kept: Kept = serde_json::from_str(text)?;
    let mut totals = Totals::default();
    for count in Count::all().filter(|count| is_shown(*count)) {
        totals.set(count, kept.counts.get(&*count.name()).copied().unwrap_or(0));
    }
    let team = |Team { tenant, team, saved, outcomes }| {
        (Who { tenant, team }, Saved { characters: saved, outcomes })
    };
    let teams = kept.teams.into_iter().map(team).collect();
    let comparison = Some(kept.comparison).filter(|comparison| comparison.begun >= share_set);
    ledger.restore(kept.since, totals, teams, comparison);
    Ok(())
}
