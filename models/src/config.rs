//! The shape of the network, from `gpt2.json` beside the graph.

use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// Sizes of a GPT-2, under the names Hugging Face gives them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    /// Transformer blocks.
    pub(crate) n_layer: usize,
    /// Width of the residual stream.
    pub(crate) n_embd: usize,
    /// Attention heads a block.
    pub(crate) n_head: usize,
    /// Tokens the model knows.
    pub(crate) vocab_size: usize,
    /// Positions it was trained on; they are learned, so there are no others.
    pub(crate) n_positions: usize,
    /// Ids of the marks between turns.
    pub(crate) special_tokens: Specials,
}

/// The marks of the text form `<|role|>text<|role|>text<|endoftext|>`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Specials {
    /// The text ends.
    #[serde(rename = "<|endoftext|>")]
    pub(crate) end: u32,
    /// A customer's turn begins.
    #[serde(rename = "<|customer|>")]
    pub(crate) customer: u32,
    /// An agent's turn begins.
    #[serde(rename = "<|agent|>")]
    pub(crate) agent: u32,
    /// A document begins.
    #[serde(rename = "<|author|>")]
    pub(crate) author: u32,
}

impl Specials {
    /// Whether `token` ends a message.
    pub(crate) fn contains(&self, token: u32) -> bool {
        [self.end, self.customer, self.agent, self.author].contains(&token)
    }
}

impl Config {
    /// Reads and checks `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let bundle = |reason: String| Error::Bundle { path: path.to_path_buf(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| bundle(error.to_string()))?;
        let config: Self = serde_json::from_str(&text).map_err(|error| bundle(error.to_string()))?;
        let sizes = [config.n_layer, config.n_embd, config.n_head, config.vocab_size];
        if sizes.contains(&0) || !config.n_embd.is_multiple_of(config.n_head) || config.n_positions < 64 {
            return Err(bundle("impossible sizes".to_owned()));
        }
        Ok(config)
    }

    /// Shape of one layer's keys or values: batch, heads, positions, width of a head.
    pub(crate) fn kv_shape(&self) -> [usize; 4] {
        [1, self.n_head, self.n_positions, self.n_embd / self.n_head]
    }
}
