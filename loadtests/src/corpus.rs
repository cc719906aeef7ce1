//! What is typed: streams of messages from JSON Lines files, or the few that come with the program.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

const BUILT_IN: &str = include_str!("../data/messages.jsonl");

/// One writer.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// Learned before the first message.
    #[serde(default)]
    history: Vec<String>,
    messages: Vec<Message>,
}

/// One message.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Message {
    #[serde(default)]
    pub(crate) context: Vec<Value>,
    pub(crate) text: String,
}

impl Stream {
    /// The newest messages of the history that together are not longer than `most` characters. `None`: all.
    pub(crate) fn taught(&self, most: Option<usize>) -> &[String] {
        let mut left = most.unwrap_or(usize::MAX);
        let fits = |text: &&String| {
            let length = text.chars().count();
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        };
        let newest = self.history.iter().rev().take_while(fits).count();
        &self.history[self.history.len() - newest..]
    }

    /// The first messages, `limit` of them. `None`: all.
    pub(crate) fn measured(&self, limit: Option<usize>) -> &[Message] {
        &self.messages[..limit.unwrap_or(usize::MAX).min(self.messages.len())]
    }
}

/// The streams of a file.
///
/// # Errors
/// When it cannot be read, or a line is no stream.
pub fn streams(path: &Path) -> Result<Vec<Stream>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    let found: Vec<Stream> = lines
        .map(|(number, line)| {
            serde_json::from_str(&line?).with_context(|| format!("{}, line {}", path.display(), number + 1))
        })
        .collect::<Result<_>>()?;
    ensure!(!found.is_empty(), "{} has no stream", path.display());
    Ok(found)
}

/// The streams of several files, taken in turn: first of each, second of each. Without a file a stream each of the messages that
/// come with the program.
///
/// # Errors
/// When a file cannot be read, a line is no stream, or nowhere is anything to type.
pub fn interleaved<P: AsRef<Path>>(files: &[P]) -> Result<Vec<Stream>> {
    if files.is_empty() {
        let lines = BUILT_IN.lines().map(serde_json::from_str);
        let messages: Vec<Message> = lines.collect::<Result<_, _>>().context("in the built-in messages")?;
        let alone = |message| Stream { history: Vec::new(), messages: vec![message] };
        return Ok(messages.into_iter().map(alone).collect());
    }
    let mut files: Vec<_> =
        files.iter().map(|path| anyhow::Ok(streams(path.as_ref())?.into_iter())).collect::<Result<_>>()?;
    let mut all: Vec<Stream> = Vec::new();
    loop {
        let before = all.len();
        all.extend(files.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            break;
        }
    }
    all.retain(|stream| stream.messages.iter().any(|message| !message.text.is_empty()));
    ensure!(!all.is_empty(), "no stream has a message to type");
    Ok(all)
}

/// The name of a file of streams.
pub fn set(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn built_in_messages_are_worth_typing() {
        let streams = interleaved::<&Path>(&[]).unwrap();
        assert!(streams.len() >= 20);
        assert!(streams.iter().all(|stream| stream.messages[0].text.chars().count() > 10));
    }

    #[test]
    fn files_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, texts: &[&str]| {
            let line = |text: &&str| format!("{{\"messages\":[{{\"text\":\"{text}\"}}]}}\n");
            let path = folder.path().join(name);
            std::fs::write(&path, texts.iter().map(line).collect::<String>()).unwrap();
            path
        };
        let files = [file("a.jsonl", &["a1", "a2", ""]), file("b.jsonl", &["b1"])];
        let texts: Vec<_> =
            interleaved(&files).unwrap().iter().map(|stream| stream.messages[0].text.clone()).collect();
        assert_eq!(texts, ["a1", "b1", "a2"]);
        let nothing = interleaved(&[file("c.jsonl", &[""])]).unwrap_err();
        assert!(nothing.to_string().contains("no stream has a message"), "{nothing}");
    }

    #[test]
    fn the_newest_of_the_history_is_taught_and_the_first_messages_are_typed() {
        let history = ["one", "three", "four"].map(str::to_owned).to_vec();
        let message = |text: &str| Message { context: Vec::new(), text: text.to_owned() };
        let stream = Stream { history, messages: vec![message("a"), message("b")] };
        assert_eq!(stream.taught(None).len(), 3);
        assert_eq!(stream.taught(Some(9)), ["three", "four"]);
        assert_eq!(stream.taught(Some(0)), <[String; 0]>::default());
        assert_eq!(stream.measured(Some(1)).len(), 1);
        assert_eq!(stream.measured(Some(9)).len(), 2);
    }
}
