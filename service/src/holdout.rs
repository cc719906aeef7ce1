//! Sessions that are shown nothing, to see what suggestions are worth: a share that operators set, none by default.
//!
//! Which ones is decided by a keyed hash, so that a session stays on its side over restarts, nobody can choose theirs, and of those
//! held out at a share none is let go at a larger one.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::store::{Store, StoreError};

/// The largest share: more would be no service.
pub const MOST: f32 = 0.5;

/// The smallest but none: with less, hardly anybody ever is.
pub const LEAST: f32 = 0.001;

/// Where it is stored.
const SETTING: &str = "holdout";

/// The share, and the key of the hash.
#[derive(Debug, Default)]
pub struct Holdout {
    /// Bits of an f32.
    share: AtomicU32,
    /// When the share was last changed, in milliseconds since the Unix epoch; 0: never.
    since: AtomicI64,
    key: RwLock<[u8; 32]>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    share: f32,
    /// Earlier releases did not store it.
    #[serde(default)]
    since: i64,
    key: [u8; 32],
}

impl Holdout {
    /// Takes over what the store says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(stored) = store.setting(SETTING).await? else { return Ok(()) };
        match serde_json::from_str(&stored) {
            Ok(stored) => self.apply(&stored),
            Err(error) => tracing::error!(%error, "the hold-out share cannot be read; nobody is held out"),
        }
        Ok(())
    }

    /// Changes the share; resolves once that is durable and holds. `false`: it is what it was.
    ///
    /// # Errors
    /// When it cannot be stored; the share stays as it was.
    pub async fn set(&self, store: &dyn Store, share: f32) -> Result<bool, StoreError> {
        let mut key = *self.key.read().unwrap_or_else(PoisonError::into_inner);
        if key == [0; 32] {
            getrandom::fill(&mut key).map_err(|error| {
                tracing::error!(%error, "the system has no random numbers");
                StoreError::Unavailable
            })?;
        }
        let share = share.clamp(0.0, MOST);
        let changed = share != self.share();
        let since = if changed { clock::now_ms() } else { self.since() };
        let stored = Stored { share, since, key };
        let text = serde_json::to_string(&stored).expect("numbers can be written to memory");
        store.set(SETTING, text).await?;
        self.apply(&stored);
        Ok(changed)
    }

    /// When the share was last changed, in milliseconds since the Unix epoch; 0: never.
    pub fn since(&self) -> i64 {
        self.since.load(Ordering::Relaxed)
    }

    /// The share of sessions that are held out, 0 to [`MOST`].
    pub fn share(&self) -> f32 {
        f32::from_bits(self.share.load(Ordering::Relaxed))
    }

    /// Whether a session is.
    pub fn holds(&self, tenant: &str, writer: Option<&str>, session: &str) -> bool {
        let share = self.share();
        if share <= 0.0 {
            return false;
        }
        let mut hash = Sha256::new_with_prefix(*self.key.read().unwrap_or_else(PoisonError::into_inner));
        for part in [tenant, writer.unwrap_or_default(), session] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        f64::from(u32::from_le_bytes([a, b, c, d])) < f64::from(share) * 2_f64.powi(32)
    }

    fn apply(&self, stored: &Stored) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = stored.key;
        self.since.store(stored.since, Ordering::Relaxed);
        self.share.store(stored.share.clamp(0.0, MOST).to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holdout: &Holdout) -> Vec<usize> {
        let holds = |n: &usize| holdout.holds("acme", Some(&format!("w{}", n % 100)), &format!("s{n}"));
        (0..20_000).filter(holds).collect()
    }

    fn at(share: f32, key: u8) -> Holdout {
        let holdout = Holdout::default();
        holdout.apply(&Stored { share, since: 0, key: [key; 32] });
        holdout
    }

    #[test]
    fn a_share_is_held_out_and_stays_so() {
        assert!(held(&Holdout::default()).is_empty(), "off by default");
        let (few, more) = (held(&at(0.05, 1)), held(&at(0.2, 1)));
        // Three standard deviations of a binomial.
        assert!(
            (few.len() as f64 - 1_000.0).abs() < 3.0 * (20_000.0_f64 * 0.05 * 0.95).sqrt(),
            "{}",
            few.len()
        );
        assert!(
            (more.len() as f64 - 4_000.0).abs() < 3.0 * (20_000.0_f64 * 0.2 * 0.8).sqrt(),
            "{}",
            more.len()
        );
        assert_eq!(held(&at(0.05, 1)), few);
        assert!(few.iter().all(|session| more.contains(session)), "a larger share lets nobody go");
        assert_ne!(held(&at(0.05, 2)), few, "without the key nobody knows");
        assert!(held(&at(9.0, 1)).len() < 11_000, "half at most");
    }

    #[test]
    fn names_do_not_run_together() {
        let holdout = at(0.5, 7);
        let sides = |parts: fn(usize) -> (String, String)| -> Vec<bool> {
            let side = |n| {
                let (writer, session) = parts(n);
                holdout.holds("t", Some(&writer), &session)
            };
            (0..64).map(side).collect()
        };
        assert_ne!(sides(|n| (format!("a{n}"), "b".into())), sides(|n| ("a".into(), format!("{n}b"))));
    }
}
