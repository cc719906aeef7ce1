//! What the writers type: messages from a JSON Lines file, or the few that come with the program.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

const BUILT_IN: &str = include_str!("../data/messages.jsonl");

#[derive(Deserialize)]
struct Line {
    text: String,
}

/// The texts of a JSON Lines file (field `text`, others are ignored), or the built-in ones. Never empty.
///
/// # Errors
/// When the file cannot be read, a line is not such an object, or no line has a text.
pub fn messages(path: Option<&Path>) -> Result<Vec<String>> {
    let Some(path) = path else {
        return read(BUILT_IN.as_bytes()).context("in the built-in messages");
    };
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    read(BufReader::new(file)).with_context(|| format!("in {}", path.display()))
}

fn read(lines: impl BufRead) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let Line { text } = serde_json::from_str(&line).with_context(|| format!("line {}", number + 1))?;
        if !text.trim().is_empty() {
            texts.push(text);
        }
    }
    ensure!(!texts.is_empty(), "no line has a text");
    Ok(texts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn built_in_messages_are_worth_typing() {
        let texts = messages(None).unwrap();
        assert!(texts.len() >= 20);
        assert!(texts.iter().all(|text| text.chars().count() > 10));
    }

    #[test]
    fn other_fields_and_empty_texts_are_ignored() {
        let lines = "{\"text\":\"one\",\"writer\":\"x\"}\n\n{\"text\":\" \"}\n";
        assert_eq!(read(lines.as_bytes()).unwrap(), ["one"]);
        assert!(read(&b"{\"text\":\"\"}"[..]).unwrap_err().to_string().contains("no line"));
        assert!(read(&b"{\"text\":\"a\"}\nnonsense"[..]).unwrap_err().to_string().contains("line 2"));
    }
}
