//! Writers: who they are, what their events add up to, and which of them are warm.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use attention::{Attention, SLOTS, slot};
pub use blocked::Blocked;
pub use forget::Forgotten;
pub use recent::Recent;
pub use registry::{Settings, Writers};
pub use snippets::{Snippet, Snippets};
pub use state::{Counts, WriterState};
pub use tally::WritersState;
pub use teams::{Shared, Team, Teams};
pub use unlisted::Unlisted;
pub use warm::Writer;

mod attention;
pub mod blocked;
pub mod event;
pub mod forget;
mod recent;
mod registry;
mod rewrite;
pub mod snippets;
mod spelt;
mod state;
mod tally;
mod teams;
mod unlisted;
mod warm;

/// The longest writer id, in characters.
const LONGEST_ID: usize = 128;
/// Characters of a name that stay readable in an id made of it.
const READABLE: usize = 64;

/// The name of somebody or something: 1 to 128 characters of `A-Za-z0-9._@:-`, other than `.` and `..`, which clients take out of the
/// paths they would stand in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(Arc<str>);

/// A validated writer id.
pub type WriterId = Id;

/// A validated name of a team.
pub type TeamId = Id;

/// The id is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 128 characters of A-Z a-z 0-9 . _ @ : -, and is neither . nor ..")]
pub struct BadId;

impl Id {
    /// Checks `id`.
    pub fn new(id: &str) -> Result<Self, BadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte);
        let good =
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(allowed) && ![".", ".."].contains(&id);
        good.then(|| Self(id.into())).ok_or(BadId)
    }

    /// The id for a name that programs hand on: the name itself if it is one. Of another its letters are kept, for people to
    /// read, and its SHA-256 tells it from others.
    pub fn of_name(name: &str) -> Self {
        Self::new(name).unwrap_or_else(|BadId| {
            let readable =
                name.chars().take(READABLE).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
            let hash = Sha256::digest(name.as_bytes());
            let hash = hash[..16].iter().map(|byte| format!("{byte:02x}"));
            Self(readable.chain([':']).map(String::from).chain(hash).collect::<String>().into())
        })
    }

    /// The id, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(id: String) -> Result<Self, BadId> {
        Self::new(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "anna.o@example.com", "team:7_x-y", &"x".repeat(128)] {
            assert!(WriterId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", "a\0", &"x".repeat(129)] {
            assert_eq!(WriterId::new(bad), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn any_name_has_an_id() {
        assert_eq!(WriterId::of_name("anna.o@example.com").as_str(), "anna.o@example.com");
        let made = WriterId::of_name("Jane Doe");
        assert!(made.as_str().starts_with("Jane-Doe:") && made.as_str().len() == 9 + 32, "{made}");
        let long = "é".repeat(10_000);
        let names = ["Jane Doe", "Jane-Doe ", "jane doe", "auth0|17", "", &long];
        let made: std::collections::HashSet<_> = names.map(WriterId::of_name).into_iter().collect();
        assert_eq!(made.len(), names.len());
        assert!(made.iter().all(|id| WriterId::new(id.as_str()).is_ok()));
    }
}
