//! The tokens as bytes, and text as tokens.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::Error;
use crate::boundary::{Start, first_inside};
use crate::config::Config;

/// A byte-level BPE (Radford et al. 2019): every token is a string of bytes, not always of characters.
pub(crate) struct Vocabulary {
    tokenizer: Tokenizer,
    bytes: Vec<Box<[u8]>>,
    starts: Vec<Start>,
    /// Tokens by their bytes, so that those with a common beginning lie side by side.
    order: Vec<u32>,
    /// Whether a token may hold the end of a word inside it, such as `...`.
    is_crossing: Vec<bool>,
}

impl Vocabulary {
    /// Reads a `tokenizer.json` and checks it against the model's configuration.
    pub(crate) fn load(path: &Path, config: &Config) -> Result<Self, Error> {
        let bundle = |reason: String| Error::Bundle { path: path.to_path_buf(), reason };
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| bundle(error.to_string()))?;
        // What people type is text: "<|endoftext|>" in a message is thirteen characters, not an end.
        tokenizer.set_encode_special_tokens(true);
        if tokenizer.get_vocab_size(true) != config.vocab_size {
            let found = tokenizer.get_vocab_size(true);
            return Err(bundle(format!("{found} tokens, the model has {}", config.vocab_size)));
        }
        let unmap = byte_of_char();
        let mut bytes = Vec::with_capacity(config.vocab_size);
        for id in 0..config.vocab_size as u32 {
            let token = tokenizer.id_to_token(id).ok_or_else(|| bundle(format!("token {id} is missing")))?;
            if config.special_tokens.contains(id) {
                bytes.push(Box::default());
                continue;
            }
            let spelled: Option<Box<[u8]>> =
                token.chars().map(|char| unmap.get(char as usize).copied().flatten()).collect();
            bytes.push(spelled.ok_or_else(|| bundle(format!("token {id} is not byte-level")))?);
        }
        let starts = (0u32..).zip(&bytes).map(|(id, token)| match config.special_tokens.contains(id) {
            true => Start::Special,
            false => Start::of(token),
        });
        let starts = starts.collect();
        let mut order: Vec<u32> =
            (0..bytes.len() as u32).filter(|&id| !bytes[id as usize].is_empty()).collect();
        order.sort_by(|&a, &b| bytes[a as usize].cmp(&bytes[b as usize]));
        let is_crossing: Vec<bool> = bytes.iter().map(|token| first_inside(token, 0).is_some()).collect();
        Ok(Self { tokenizer, bytes, starts, order, is_crossing })
    }

    /// The tokens of `text`, encoded greedily as in training; special marks in it are plain text.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        // Byte-level BPE has a token for every byte, so encoding fails for no text.
        self.tokenizer
            .encode_fast(text, false)
            .map(|encoding| encoding.get_ids().to_vec())
            .unwrap_or_default()
    }

    /// The bytes `token` spells; none for a special mark.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        &self.bytes[token as usize]
    }

    /// How each token begins, by id.
    pub(crate) fn starts(&self) -> &[Start] {
        &self.starts
    }

    /// Whether `token` has a word boundary inside when it stands alone.
    pub(crate) fn is_crossing(&self, token: u32) -> bool {
        self.is_crossing[token as usize]
    }

    /// The tokens whose bytes start with `prefix`.
    pub(crate) fn starting_with(&self, prefix: &[u8]) -> &[u32] {
        let from = self.order.partition_point(|&id| self.bytes(id) < prefix);
        let rest = &self.order[from..];
        &rest[..rest.partition_point(|&id| self.bytes(id).starts_with(prefix))]
    }

    /// The token that spells exactly `bytes`.
    pub(crate) fn exactly(&self, bytes: &[u8]) -> Option<u32> {
        self.starting_with(bytes).first().copied().filter(|&id| self.bytes(id) == bytes)
    }
}

/// GPT-2's map from the characters of `tokenizer.json` back to bytes: printable Latin-1 stands for itself, the other
/// bytes take the code points from 256 on, in order.
fn byte_of_char() -> Vec<Option<u8>> {
    let mut map = vec![None; 512];
    let mut next = 256;
    for byte in 0..=255u8 {
        if matches!(byte, 33..=126 | 161..=172 | 174..) {
            map[usize::from(byte)] = Some(byte);
        } else {
            map[next] = Some(byte);
            next += 1;
        }
    }
    map
}
