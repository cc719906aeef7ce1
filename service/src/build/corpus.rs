//! A corpus: a folder of JSON Lines, dialogues and documents, some of it held out by writer.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use foretype_markov::Role;
use hashbrown::HashMap;
use serde::Deserialize;

use crate::engine::Turn;

/// One held-out share of each source, in messages.
const HELD_OUT: f64 = 0.02;

/// A writer with more than this share of a source is never held out: the source would lose its voice.
const LARGEST: f64 = 0.015;

/// Of fewer pieces none can be spared.
const LEAST: usize = 50;

/// A message is cut here: nobody types more in one go, and one huge record must not dominate.
const LONGEST: usize = 20_000;

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    source: String,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    turns: Vec<RawTurn>,
}

#[derive(Deserialize)]
struct RawTurn {
    role: String,
    text: String,
}

/// A dialogue, or the one document of an author.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Who wrote it, for documents with an author.
    pub(super) author: Option<String>,
    /// When, as the corpus writes it; orders one writer's pieces.
    pub(super) time: String,
    /// What was said, in order.
    pub(super) turns: Vec<Turn>,
}

/// One file of the corpus.
#[derive(Debug)]
pub(super) struct Source {
    /// What its records call it.
    pub(super) name: String,
    /// To learn from.
    pub(super) train: Vec<Piece>,
    /// To fit on: each stream is one writer's pieces in time order, or one dialogue.
    pub(super) held_out: Vec<Vec<Piece>>,
}

impl Source {
    /// Messages to learn from.
    pub(super) fn messages(&self) -> u64 {
        self.train.iter().map(|piece| piece.turns.len() as u64).sum()
    }
}

/// The corpus files of a folder, in name order.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(dir).with_context(|| format!("cannot read the corpus folder {}", dir.display()))?;
    let mut paths: Vec<_> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| is_corpus(p)).collect();
    paths.sort();
    if paths.is_empty() {
        bail!(
            "{} holds no .jsonl or .jsonl.gz file: name the folder of your corpus with --corpus",
            dir.display()
        );
    }
    Ok(paths)
}

fn is_corpus(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
}

/// Reads one file and splits off what is held out.
pub(super) fn read(path: &Path) -> Result<Source> {
    let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let plain: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut pieces = Vec::new();
    let mut name = String::new();
    for (number, line) in BufReader::new(plain).lines().enumerate() {
        let line =
            line.with_context(|| format!("{} cannot be read at line {}", path.display(), number + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: Record = serde_json::from_str(&line).with_context(|| {
            format!("{}, line {}: not a dialogue or document", path.display(), number + 1)
        })?;
        if name.is_empty() {
            name.clone_from(&record.source);
        }
        pieces.extend(piece(record).with_context(|| format!("{}, line {}", path.display(), number + 1))?);
    }
    if name.is_empty() {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        name.extend(file.split('.').next());
    }
    Ok(split(name, pieces))
}

/// `None`: nothing was said.
fn piece(record: Record) -> Result<Option<Piece>> {
    let document = record.text.map(|text| RawTurn { role: "author".to_owned(), text });
    let turns: Vec<_> = record
        .turns
        .into_iter()
        .chain(document)
        .filter_map(|raw| turn(raw).transpose())
        .collect::<Result<_>>()?;
    let time = record.time.unwrap_or_default();
    Ok((!turns.is_empty()).then_some(Piece { author: record.author, time, turns }))
}

fn turn(raw: RawTurn) -> Result<Option<Turn>> {
    let role = match raw.role.as_str() {
        "customer" => Role::Customer,
        "agent" => Role::Agent,
        "author" => Role::Author,
        other => bail!("the role {other:?} is none of customer, agent, author"),
    };
    let mut text = raw.text;
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    Ok((!text.trim().is_empty()).then_some(Turn { role, text }))
}

/// Holds out whole writers (or whole dialogues), chosen by hash, so that what is fitted on was never learned. Where
/// there are a few writers only, each with much, single pieces are held out instead. The same are held out by
/// `models/train/corpus.py`: a GPT-2 trained there has not seen them either.
fn split(name: String, pieces: Vec<Piece>) -> Source {
    if pieces.len() < LEAST {
        return Source { name, train: pieces, held_out: Vec::new() };
    }
    let writer = |(at, piece): (usize, &Piece)| piece.author.clone().unwrap_or_else(|| format!("#{at}"));
    let mut keys: Vec<_> = pieces.iter().enumerate().map(writer).collect();
    let largest = (pieces.len() as f64 * LARGEST).max(1.0) as usize;
    let mut sizes = tally(&keys);
    if sizes.values().all(|size| *size > largest) {
        keys = (0..pieces.len()).map(|at| format!("#{at}")).collect();
        sizes = tally(&keys);
    }
    let mut order: Vec<_> = sizes.iter().filter(|(_, size)| **size <= largest).collect();
    // Writers with a history first: they show what personalisation is worth.
    order.sort_by_key(|(key, size)| {
        (std::cmp::Reverse(**size >= 20), crc32fast::hash(key.as_bytes()), (*key).clone())
    });
    let (mut chosen, mut held) = (HashMap::new(), 0);
    for (key, size) in order {
        if held as f64 >= pieces.len() as f64 * HELD_OUT {
            break;
        }
        held += size;
        chosen.insert(key.clone(), chosen.len());
    }
    let mut source = Source { name, train: Vec::new(), held_out: vec![Vec::new(); chosen.len()] };
    for (key, piece) in keys.iter().zip(pieces) {
        match chosen.get(key) {
            Some(&stream) => source.held_out[stream].push(piece),
            None => source.train.push(piece),
        }
    }
    for stream in &mut source.held_out {
        stream.sort_by(|a, b| a.time.cmp(&b.time));
    }
    source
}

fn tally(keys: &[String]) -> HashMap<String, usize> {
    let mut sizes = HashMap::new();
    for key in keys {
        *sizes.entry_ref(key).or_default() += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn write(lines: &[String]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notes.jsonl");
        let mut file = fs::File::create(&path).expect("a file");
        for line in lines {
            writeln!(file, "{line}").expect("written");
        }
        (dir, path)
    }

    #[test]
    fn whole_writers_are_held_out() {
        let lines: Vec<_> = (0..4000)
            .map(|i| {
                format!(r#"{{"source":"notes","author":"w{}","time":"{i:05}","text":"note {i}"}}"#, i % 200)
            })
            .collect();
        let (_dir, path) = write(&lines);
        let source = read(&path).expect("a corpus");
        assert_eq!(source.messages() + source.held_out.iter().map(Vec::len).sum::<usize>() as u64, 4000);
        assert!((3..=6).contains(&source.held_out.len()), "{}", source.held_out.len());
        for stream in &source.held_out {
            assert_eq!(stream.len(), 20);
            assert!(source.train.iter().all(|piece| piece.author != stream[0].author));
            assert!(stream.is_sorted_by(|a, b| a.time <= b.time));
        }
    }

    #[test]
    fn the_training_script_holds_out_the_same() {
        // models/train/tests/test_corpus.py has these writers of the same corpus.
        let lines: Vec<_> = (0..400)
            .map(|i| format!(r#"{{"author":"w{}","time":"{i:05}","text":"note {i}"}}"#, i % 100))
            .collect();
        let (_dir, path) = write(&lines);
        let source = read(&path).expect("a corpus");
        let mut writers: Vec<_> =
            source.held_out.iter().map(|s| s[0].author.clone().unwrap_or_default()).collect();
        writers.sort_unstable();
        assert_eq!(writers, ["w4", "w60"]);
    }

    #[test]
    fn of_few_writers_pieces_are_held_out_and_of_little_text_none() {
        // models/train/tests/test_corpus.py has these pieces of the same corpus.
        let lines: Vec<_> =
            (0..200).map(|i| format!(r#"{{"author":"w{}","text":"note {i}"}}"#, i % 4)).collect();
        let (_dir, path) = write(&lines);
        let source = read(&path).expect("a corpus");
        let mut texts: Vec<_> = source.held_out.iter().map(|stream| &stream[0].turns[0].text[..]).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["note 170", "note 197", "note 28", "note 92"]);
        let (_dir, path) = write(&lines[..49]);
        assert!(read(&path).expect("a corpus").held_out.is_empty());
    }

    #[test]
    fn a_bad_line_is_named() {
        let (_dir, path) = write(&["{}".to_owned(), "nonsense".to_owned()]);
        let error = format!("{:#}", read(&path).expect_err("not a corpus"));
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn an_unknown_role_is_named() {
        let line = r#"{"turns":[{"role":"agent","text":"Hi"},{"role":"boss","text":"No"}]}"#;
        let (_dir, path) = write(&[line.to_owned()]);
        let error = format!("{:#}", read(&path).expect_err("not a corpus"));
        assert!(error.contains("line 1") && error.contains("\"boss\""), "{error}");
    }

    #[test]
    fn what_names_no_source_is_called_like_its_file() {
        let (_dir, path) = write(&[r#"{"text":"Hello there"}"#.to_owned()]);
        assert_eq!(read(&path).expect("a corpus").name, "notes");
    }

    #[test]
    fn an_empty_folder_says_what_is_missing() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(files(dir.path()).expect_err("nothing there").to_string().contains("--corpus"));
    }
}
