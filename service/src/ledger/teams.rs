//! What suggestions saved each team.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Outcome;

/// Teams that are counted; beyond, the one that saved least makes way.
const MOST: usize = 512;

/// Whose suggestions: a tenant's team, or its writers who are in none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// The customer.
    pub tenant: Arc<str>,
    /// The team.
    pub team: Option<Arc<str>>,
}

/// What became of suggestions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Keystrokes saved.
    pub characters: u64,
    /// Outcomes, in the order of [`super::OUTCOMES`].
    pub outcomes: [u64; 3],
}

/// The teams of all time.
#[derive(Debug, Default)]
pub(super) struct Teams(Mutex<HashMap<Who, Saved>>);

impl Teams {
    pub(super) fn judged(&self, who: Who, outcome: Outcome, saved: u64) {
        let mut teams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if teams.len() >= MOST && !teams.contains_key(&who) {
            let least = teams.iter().min_by_key(|(_, saved)| saved.characters).map(|(who, _)| who.clone());
            least.map(|least| teams.remove(&least));
        }
        let team = teams.entry(who).or_default();
        team.characters += saved;
        team.outcomes[outcome as usize] += 1;
    }

    /// What processes before this one counted; before anything else is.
    pub(super) fn restore(&self, teams: Vec<(Who, Saved)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(teams.into_iter().take(MOST));
    }

    /// Those that saved most, at most `most`.
    pub(super) fn list(&self, most: usize) -> Vec<(Who, Saved)> {
        let teams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = teams.iter().map(|(who, saved)| (who.clone(), *saved)).collect();
        drop(teams);
        list.sort_by(|(a, of_a), (b, of_b)| {
            let order = |who: &Who| (Arc::clone(&who.tenant), who.team.clone());
            of_b.characters.cmp(&of_a.characters).then_with(|| order(a).cmp(&order(b)))
        });
        list.truncate(most);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_teams_take_bounded_room() {
        let teams = Teams::default();
        let who = |n: usize| Who { tenant: "t".into(), team: Some(n.to_string().into()) };
        for n in 0..MOST + 9 {
            teams.judged(who(n), Outcome::Accepted, n as u64 + 1);
        }
        teams.judged(who(MOST), Outcome::Rejected, 0);
        assert_eq!(teams.list(usize::MAX).len(), MOST);
        let best = teams.list(2);
        assert_eq!(best[0].0, who(MOST + 8));
        assert!(!teams.list(usize::MAX).iter().any(|(team, _)| *team == who(0)), "it saved least");
        let found = teams.list(usize::MAX).into_iter().find(|(team, _)| *team == who(MOST));
        assert_eq!(found.map(|(_, saved)| saved.outcomes), Some([1, 0, 1]));
    }
}
