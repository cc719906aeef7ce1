//! GPT-2 through ONNX Runtime: the only crate that sees `ort` and `tokenizers`.
//!
//! The unit is the **surface**: a word as typed, with the single space before it when there is one (`" help"`, `","`).
//! [`Gpt2::words`] answers what surface comes next, given a conversation, a draft and the part of the surface that is
//! already typed; [`Gpt2::losses`] tells how well the model foresaw a message. A [`KvCache`] keeps what one
//! conversation has cost so far, so that a keystroke pays only for what is new. Questions about several conversations share runs of the
//! network where [`Gpt2::split`] is used.
//!
//! ```no_run
//! use foretype_models::{Ask, Gpt2, KvCache, Options, Prompt, Role, load_runtime};
//!
//! load_runtime(None)?;
//! let mut gpt2 = Gpt2::load("models/bundle".as_ref(), Options::default())?;
//! let mut cache = KvCache::default();
//! let prompt = Prompt { turns: &[], role: Role::Agent, before: "Thanks for calling, I can", prefix: " he" };
//! let words = gpt2.words(&mut cache, &prompt, &Ask { top: 3, max_passes: 8, ..Ask::default() }, &|_| false);
//! assert_eq!(words.top[0].surface, " help");
//! # Ok::<(), foretype_models::Error>(())
//! ```

mod answer;
mod attention;
mod batch;
mod boundary;
mod cache;
#[cfg(test)]
mod chance;
mod config;
mod contained;
mod context;
mod distribution;
mod error;
mod exp;
mod gpt2;
mod greedy;
mod kernel;
#[cfg(test)]
mod parity;
mod phrase;
mod product;
mod reader;
mod rewrite;
mod rounded;
mod runtime;
mod said;
mod search;
mod session;
mod step;
#[cfg(test)]
mod tree;
mod vocabulary;

pub use batch::{Desk, Runner};
pub use cache::KvCache;
pub use context::{Prompt, Role};
pub use error::Error;
pub use gpt2::{Ask, Continuation, Gpt2, Options, Word, Words};
pub use kernel::Kernel;
pub use reader::Reader;
pub use runtime::{RuntimeVersion, load_runtime};
