//! API keys: 256 random bits each, of which the store keeps the SHA-256 (what cannot be guessed needs no slow hash), and those
//! that hold, in memory.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::store::{Store, StoreError};

/// What every key begins with, so that scanners for leaked secrets can tell.
const MARK: &str = "ft-";
/// Bytes of a key's public name.
const NAME: usize = 6;
/// Bytes of its secret.
const SECRET: usize = 32;
/// How often the store is asked whether keys were added or revoked.
const EVERY: Duration = Duration::from_millis(400);

/// A key as it is given out, once.
pub struct NewKey {
    /// Its public name.
    pub id: String,
    /// All of it.
    pub text: String,
}

impl NewKey {
    /// A key nobody else has or can guess.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; NAME + SECRET];
        getrandom::fill(&mut bytes)?;
        let (name, secret) = bytes.split_at(NAME);
        let id = hex(name);
        Ok(Self { text: format!("{MARK}{id}-{}", hex(secret)), id })
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.text)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The public name in a key.
fn id_of(key: &str) -> Option<&str> {
    key.strip_prefix(MARK)?.split_once('-').map(|(id, _)| id)
}

/// The keys that hold.
#[derive(Default)]
pub struct Keyring {
    held: RwLock<Held>,
    /// Once there was a key, or the service can be reached from elsewhere, nobody gets in without one: revoking the last must not
    /// open the door.
    required: AtomicBool,
}

#[derive(Default)]
struct Held {
    version: u64,
    by_id: HashMap<Arc<str>, ([u8; 32], Arc<Caller>)>,
}

impl Keyring {
    /// Nobody gets in without a key from now on.
    pub fn require(&self) {
        self.required.store(true, Ordering::Relaxed);
    }

    /// Whether a key is needed.
    pub fn is_required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    /// Who asks with `key`.
    ///
    /// # Errors
    /// 401 if one is needed and this is none that holds.
    pub fn caller(&self, key: Option<&str>) -> Result<Arc<Caller>, ApiError> {
        if !self.is_required() {
            // Plugins that must be given some key send it anyway.
            return Ok(Arc::new(Caller::local()));
        }
        let key = key.ok_or(ApiError::Unauthorized(
            "send an API key, with the header authorization: Bearer …; `foretype keys add` makes one",
        ))?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let found = id_of(key).and_then(|id| held.by_id.get(id));
        // Of an unknown name too a hash is compared: how long it takes says nothing.
        let nobody = ([0; 32], None);
        let (stored, caller) = found.map_or(nobody, |(stored, caller)| (*stored, Some(caller)));
        let same = bool::from(hash(key).ct_eq(&stored));
        caller.filter(|_| same).cloned().ok_or(ApiError::Unauthorized(
            "this API key does not hold: it may have been revoked; `foretype keys list` shows those that do",
        ))
    }

    /// Whether a caller's key was not revoked since.
    pub fn holds(&self, caller: &Caller) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        match &caller.key {
            Some(key) => held.by_id.contains_key(key),
            None => !self.is_required(),
        }
    }

    /// How many keys hold.
    pub fn count(&self) -> usize {
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }

    /// Takes over what was added to the store and what was revoked.
    ///
    /// # Errors
    /// When the store cannot be read; the keys stay as they were.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let version = self.held.read().unwrap_or_else(PoisonError::into_inner).version;
        let Some((version, keys)) = store.keys_since(version).await? else { return Ok(()) };
        if !keys.is_empty() {
            self.require();
        }
        let by_id = keys.into_iter().map(|key| {
            let id: Arc<str> = key.id.into();
            let caller = Caller { key: Some(Arc::clone(&id)), ..key.caller };
            (id, (key.hash, Arc::new(caller)))
        });
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { version, by_id: by_id.collect() };
        Ok(())
    }

    /// Refreshes for ever.
    pub async fn follow(&self, store: &dyn Store) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.refresh(store).await {
                tracing::error!(%error, "whether keys were revoked cannot be told; it is tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let [one, two] = [(), ()].map(|()| NewKey::random().expect("the system has random numbers"));
        assert_ne!(one.text, two.text);
        assert_eq!(one.text.len(), "ft-".len() + 12 + 1 + 64);
        assert_eq!(id_of(&one.text), Some(one.id.as_str()));
        assert_ne!(one.hash(), two.hash());
        for odd in ["", "ft-", "ft-abc", "sk-abc-def"] {
            assert_eq!(id_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn without_keys_everybody_is_local_until_one_is_needed() {
        let keyring = Keyring::default();
        assert_eq!(*keyring.caller(Some("none")).expect("no key is needed"), Caller::local());
        assert!(keyring.holds(&Caller::local()));
        keyring.require();
        for key in [None, Some("none"), Some("ft-000000000000-00")] {
            assert!(matches!(keyring.caller(key), Err(ApiError::Unauthorized(_))), "{key:?}");
        }
        assert!(!keyring.holds(&Caller::local()));
    }
}
