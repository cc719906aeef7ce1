//! Teams: what their members share, folded from the members' messages in the order these were stored.
//!
//! A team's memory is a cache: the messages are its members' own events, and what it holds can be folded again from them at any
//! time. It follows the store a moment behind; nobody waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use dashmap::DashMap;
use foretype_markov::{TeamLimits, TeamModel, segment};
use tokio::sync::{Mutex, Semaphore};

use super::event::{Content, Learned};
use crate::ensemble::mixture::Prior;
use crate::ensemble::weights::{MEMBERS, Weights, in_255ths};
use crate::store::{Store, StoreError, TeamEvent, TeamKey};

/// Messages read at once.
const PAGE: usize = 256;

/// What comes within this time of each other is folded in one go.
const PAUSE: Duration = Duration::from_millis(100);

/// Teams in memory, and what they may take; the one asked for longest ago goes first, and is folded again when it is asked for.
const MOST_TEAMS: usize = 1_024;
const MOST_BYTES: usize = 128 << 20;

/// Teams that are folded at once.
const FOLDS: usize = 2;

/// What predictions read of a team.
#[derive(Debug)]
pub struct Shared {
    /// The n-grams that enough members used.
    pub model: TeamModel,
    /// Which predictors the members' words speak for: where a new member starts from. Holds no words.
    pub weights: Weights,
    /// The bundle's weights by evidence bucket, in 255ths.
    prior: Arc<[[u8; MEMBERS]]>,
}

impl Shared {
    /// A team nobody taught. `writers_needed`: how many members must have used an n-gram before others are shown it.
    pub fn new(prior: &Prior, writers_needed: u8) -> Self {
        let prior = prior.weights.iter().map(|row| row.map(in_255ths)).collect();
        let limits = TeamLimits { writers_needed, ..TeamLimits::default() };
        Self { model: TeamModel::new(limits), weights: Weights::new(), prior }
    }

    /// Learns a member's message. Which of the predictors were right is weighed against the bundle's weights, whatever the
    /// member's were when it was sent: those held what the team had said by then.
    pub fn learn(&mut self, writer: u32, learned: &Learned) {
        self.weights.apply_under(&learned.losses, &self.prior);
        self.model.learn(writer, &segment::normalise(&learned.text), learned.role);
    }

    /// The same that has learned nothing.
    fn blank(&self) -> Self {
        let model = TeamModel::new(self.model.limits());
        Self { model, weights: Weights::new(), prior: Arc::clone(&self.prior) }
    }

    fn take(&mut self, shared: &TeamEvent) {
        match Content::decode(&shared.event) {
            // Epochs count lives of writers; 2^32 of them is more than there are people.
            Ok(Content::Learned(learned)) => self.learn(shared.writer as u32, &learned),
            Ok(Content::Judged(_) | Content::Snippets(_) | Content::Blocked(_)) => {}
            Err(error) => tracing::error!(%error, n = shared.n, "an event is left out of a team"),
        }
    }
}

/// A team in memory.
#[derive(Debug)]
pub struct Team {
    key: TeamKey,
    shared: RwLock<Shared>,
    /// The epoch folded, and the place of the last message. Held by whoever folds.
    place: Mutex<(u64, u64)>,
    /// How often there was news since somebody began to fold it; 0: nobody does.
    news: AtomicU64,
    /// When it was last asked for, by the registry's count of requests.
    touched: AtomicU64,
}

impl Team {
    /// What predictions read; a panic while it was written leaves it readable.
    pub fn read(&self) -> RwLockReadGuard<'_, Shared> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns a member's message that is in no store: for measurements.
    pub fn learn(&self, writer: u32, learned: &Learned) {
        self.shared.write().unwrap_or_else(PoisonError::into_inner).learn(writer, learned);
    }

    /// The team, with what it has folded.
    pub fn over(key: TeamKey, shared: Shared) -> Arc<Self> {
        let (shared, place) = (RwLock::new(shared), Mutex::default());
        Arc::new(Self { key, shared, place, news: AtomicU64::new(0), touched: AtomicU64::new(0) })
    }
}

/// The teams in memory.
pub struct Teams {
    store: Arc<dyn Store>,
    blank: Box<dyn Fn() -> Shared + Send + Sync>,
    warm: DashMap<TeamKey, Arc<Team>>,
    /// Counts requests: the clock of least-recently-used.
    requests: AtomicU64,
    folds: Semaphore,
}

impl Teams {
    /// Over `store`; `blank` makes a team nobody taught.
    pub fn new(store: Arc<dyn Store>, blank: Box<dyn Fn() -> Shared + Send + Sync>) -> Arc<Self> {
        let (requests, folds) = (AtomicU64::new(0), Semaphore::new(FOLDS));
        Arc::new(Self { store, blank, warm: DashMap::new(), requests, folds })
    }

    /// Teams in memory.
    pub fn warm(&self) -> usize {
        self.warm.len()
    }

    /// The team as far as it is folded. One that was not in memory is empty, and folded from now on.
    pub fn get(self: &Arc<Self>, key: &TeamKey) -> Arc<Team> {
        let now = self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(team) = self.warm.get(key) {
            team.touched.store(now, Ordering::Relaxed);
            return Arc::clone(&team);
        }
        let team = Arc::clone(
            &self.warm.entry(key.clone()).or_insert_with(|| Team::over(key.clone(), (self.blank)())),
        );
        team.touched.store(now, Ordering::Relaxed);
        self.evict();
        self.follow_soon(&team);
        team
    }

    /// The team, if it is in memory. Asking does not count as using it.
    pub fn peek(&self, key: &TeamKey) -> Option<Arc<Team>> {
        self.warm.get(key).map(|team| Arc::clone(&team))
    }

    /// A member taught something.
    pub fn taught(self: &Arc<Self>, key: &TeamKey) {
        let team = self.warm.get(key).map(|team| Arc::clone(&team));
        if let Some(team) = team {
            self.follow_soon(&team);
        }
    }

    /// Drops what is in memory of a team: somebody's messages were taken back.
    pub fn forget(&self, key: &TeamKey) {
        self.warm.remove(key);
    }

    /// Folds all that the store has of a team by now.
    pub async fn follow(&self, team: &Arc<Team>) -> Result<(), StoreError> {
        let mut place = team.place.lock().await;
        // Of what breaks off nobody knows how far it came: no team has the epoch 0, so the next one begins anew.
        let mut at = std::mem::take(&mut *place);
        // What is to take the team's place; `None`: the team goes on.
        let mut anew: Option<Shared> = None;
        loop {
            let page = self.store.team_events(&team.key, at.1, PAGE).await?;
            if page.epoch != at.0 {
                let from_the_start = at.1 == 0;
                at = (page.epoch, 0);
                anew = Some(team.read().blank());
                if !from_the_start {
                    continue;
                }
            }
            let Some(last) = page.events.last().map(|shared| shared.n) else { break };
            let folded = Arc::clone(team);
            let fold = move || {
                match &mut anew {
                    Some(anew) => page.events.iter().for_each(|shared| anew.take(shared)),
                    // Keystrokes read it meanwhile: they wait for one message at most.
                    None => page.events.iter().for_each(|shared| {
                        folded.shared.write().unwrap_or_else(PoisonError::into_inner).take(shared);
                    }),
                }
                anew
            };
            anew = tokio::task::spawn_blocking(fold).await.map_err(|_| StoreError::Unavailable)?;
            at.1 = last;
        }
        if let Some(anew) = anew {
            *team.shared.write().unwrap_or_else(PoisonError::into_inner) = anew;
        }
        *place = at;
        Ok(())
    }

    fn follow_soon(self: &Arc<Self>, team: &Arc<Team>) {
        if team.news.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let (teams, team) = (Arc::clone(self), Arc::clone(team));
        tokio::spawn(async move {
            loop {
                let permit = teams.folds.acquire().await;
                let seen = team.news.load(Ordering::Acquire);
                // One that had to make room meanwhile is folded when it is asked for again.
                if teams.holds(&team)
                    && let Err(error) = teams.follow(&team).await
                {
                    // The next message, or the next start, tries again.
                    tracing::warn!(%error, "a team could not be brought up to date");
                }
                drop(permit);
                teams.evict();
                if team.news.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// Whether this object is the one that others are handed.
    fn holds(&self, team: &Arc<Team>) -> bool {
        self.warm.get(&team.key).is_some_and(|held| Arc::ptr_eq(&held, team))
    }

    fn evict(&self) {
        let bytes = || self.warm.iter().map(|team| team.read().model.bytes()).sum::<usize>();
        while self.warm.len() > MOST_TEAMS || self.warm.len() > 1 && bytes() > MOST_BYTES {
            let oldest = self.warm.iter().min_by_key(|team| team.touched.load(Ordering::Relaxed));
            // Its guard is gone before the map is changed.
            let Some(oldest) = oldest.map(|team| team.key.clone()) else { return };
            self.warm.remove(&oldest);
        }
    }
}
