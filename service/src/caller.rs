//! Who asks, and what they may: everything a writer taught lives inside one tenant, and a key may be bound to one writer of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::ApiError;
use crate::store::{TeamKey, WriterKey};
use crate::writer::{Id, TeamId, WriterId};

/// The tenant of whoever asks without a key.
pub const LOCAL: &str = "default";

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Be shown suggestions, and say what became of them.
    Complete,
    /// Teach what was sent.
    Learn,
    /// See and change what is stored about writers and teams.
    Writers,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Learn, Self::Writers];

    /// The name the command line and the store use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Learn => "learn",
            Self::Writers => "writers",
        }
    }

    const fn lacking(self) -> &'static str {
        match self {
            Self::Complete => "this key lacks the scope `complete`",
            Self::Learn => "this key lacks the scope `learn`",
            Self::Writers => "this key lacks the scope `writers`",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is no scope's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one of complete, learn, writers")]
pub struct BadScope;

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(name: &str) -> Result<Self, BadScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or(BadScope)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The customer.
    pub tenant: Arc<str>,
    /// The team that this caller's writers are in; `None`: each is where they were put.
    pub team: Option<TeamId>,
    /// The one writer this caller is; `None`: any of the tenant's.
    pub writer: Option<WriterId>,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// The key's id; `None`: there are no keys, and it came from this machine.
    pub key: Option<Arc<str>>,
}

impl Caller {
    /// Whoever asks from this machine while there are no keys.
    pub fn local() -> Self {
        let scopes = Scope::ALL.to_vec();
        Self { tenant: LOCAL.into(), team: None, writer: None, scopes, key: None }
    }

    /// An operator, who may do anything to any writer of a tenant.
    pub fn operator(tenant: &Id) -> Self {
        Self { tenant: tenant.shared(), ..Self::local() }
    }

    /// Whether it may; 403 otherwise.
    pub fn may(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(ApiError::Forbidden(scope.lacking())) }
    }

    /// Who is meant by a request that names `writer`: of a caller that is bound to one, always that one. 403 for another.
    pub fn own(&self, writer: Option<WriterId>) -> Result<Option<WriterId>, ApiError> {
        match (&self.writer, writer) {
            (Some(bound), Some(named)) if *bound != named => {
                Err(ApiError::Forbidden("this key is bound to another writer"))
            }
            (Some(bound), _) => Ok(Some(bound.clone())),
            (None, named) => Ok(named),
        }
    }

    /// Whether all that ask as this caller for `writer` are one person: a key for any writer may be a whole company's.
    pub fn is_one_person(&self, writer: Option<&WriterId>) -> bool {
        self.key.is_none() || self.writer.is_some() || writer.is_some()
    }

    /// The record of a writer that this caller may know of.
    pub fn key_of(&self, writer: &WriterId) -> Result<WriterKey, ApiError> {
        self.own(Some(writer.clone()))?;
        Ok(self.record(writer))
    }

    /// The record of a writer.
    pub fn record(&self, writer: &WriterId) -> WriterKey {
        WriterKey { tenant: Arc::clone(&self.tenant), writer: writer.shared() }
    }

    /// Whether an answer that was given for `key` was this caller's.
    pub fn was_given(&self, key: &WriterKey) -> bool {
        let other = |bound: &WriterId| bound.as_str() != &*key.writer;
        self.tenant == key.tenant && !self.writer.as_ref().is_some_and(other)
    }

    /// The team that this caller is bound to.
    pub fn own_team(&self) -> Option<TeamKey> {
        let team = self.team.as_ref()?.shared();
        Some(TeamKey { tenant: Arc::clone(&self.tenant), team })
    }

    /// A team of the tenant, if this caller is not bound to another.
    pub fn team(&self, team: &TeamId) -> Result<TeamKey, ApiError> {
        if self.team.as_ref().is_some_and(|bound| bound != team) {
            return Err(ApiError::Forbidden("this key is bound to another team"));
        }
        Ok(TeamKey { tenant: Arc::clone(&self.tenant), team: team.shared() })
    }

    /// 403 for a caller that is bound: who is in which team is not for the writers to say.
    pub fn is_free(&self) -> Result<(), ApiError> {
        if self.writer.is_none() && self.team.is_none() {
            return Ok(());
        }
        Err(ApiError::Forbidden("this key is bound to a writer or a team, and cannot change teams"))
    }
}
