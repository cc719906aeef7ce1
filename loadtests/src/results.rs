//! What was measured, kept between runs: a JSON line a configuration and set, written as soon as it is known. It is used again
//! for the same set-up only.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::corpus;
use crate::desk::Setup;
use crate::origin::{self, Origin};
use crate::quality;
use crate::score::Figures;

/// A configuration on a set.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell {
    configuration: String,
    set: String,
    limit: Option<usize>,
    /// `None`: others measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(flatten)]
    figures: Figures,
}

/// The figures of a file of results that are about as many messages.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    limit: Option<usize>,
    /// The digest of this program.
    program: String,
    /// What was measured so far, of whatever set-up.
    known: Vec<(Origin, Cell)>,
    /// In the order they were first heard of.
    configurations: Vec<String>,
    /// What others measured, and what this run asked for.
    figures: BTreeMap<(String, String), Figures>,
}

impl Results {
    /// Reads what is there. `limit`: messages of each stream.
    ///
    /// # Errors
    /// When the file or this program cannot be read, or a line is no result.
    pub fn open(path: &Path, limit: Option<usize>) -> Result<Self> {
        let mut results = Self {
            path: path.to_owned(),
            limit,
            program: origin::program()?,
            known: Vec::new(),
            configurations: Vec::new(),
            figures: BTreeMap::new(),
        };
        if path.exists() {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            for (number, line) in BufReader::new(file).lines().enumerate() {
                let cell: Cell = serde_json::from_str(&line?)
                    .with_context(|| format!("{}, line {}", path.display(), number + 1))?;
                match &cell.origin {
                    _ if cell.limit != limit => {}
                    Some(origin) => results.known.push((origin.clone(), cell)),
                    None => results.add(cell),
                }
            }
        }
        Ok(results)
    }

    fn add(&mut self, cell: Cell) {
        if !self.configurations.contains(&cell.configuration) {
            self.configurations.push(cell.configuration.clone());
        }
        self.figures.insert((cell.configuration, cell.set), cell.figures);
    }

    /// All configurations there are figures of: what others measured, and what this run asked for.
    pub fn configurations(&self) -> &[String] {
        &self.configurations
    }

    /// The figures of a configuration on a set, if they are known.
    pub fn get(&self, configuration: &str, set: &str) -> Option<&Figures> {
        self.figures.get(&(configuration.to_owned(), set.to_owned()))
    }

    /// Measures a configuration on a file of streams, unless that is known of the same set-up.
    ///
    /// # Errors
    /// When a file cannot be read or written, the models not be opened, or a request is refused.
    pub fn measure(&mut self, configuration: &str, setup: &Setup, file: &Path) -> Result<()> {
        let set = corpus::set(file);
        let origin = Origin::of(&self.program, setup, file)?;
        let about = |(_, cell): &&(Origin, Cell)| cell.configuration == configuration && cell.set == set;
        let mut known = self.known.iter().filter(about);
        if let Some((_, cell)) = known.clone().find(|(of, _)| *of == origin) {
            let cell = cell.clone();
            self.add(cell);
            return Ok(());
        }
        let another =
            known.next_back().map(|(of, _)| format!("another set-up ({})", of.differences(&origin)));
        let unknown = || self.get(configuration, &set).map(|_| "an unknown set-up".to_owned());
        let stale = another.or_else(unknown);
        let why = stale.map(|stale| format!(": measured again, {} has it of {stale}", self.path.display()));
        writeln!(std::io::stderr(), "{configuration}, {set}{}", why.unwrap_or_default())?;
        let figures = quality::run(setup, &corpus::streams(file)?)?;
        let (configuration, limit) = (configuration.to_owned(), self.limit);
        let cell = Cell { configuration, set, limit, origin: Some(origin.clone()), figures };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut out = OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(out, "{}", serde_json::to_string(&cell)?)?;
        self.known.push((origin, cell.clone()));
        self.add(cell);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_others_are_read_and_bad_ones_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.jsonl");
        assert!(Results::open(&path, None).expect("nothing yet").configurations().is_empty());
        let peer = "{\"configuration\":\"a peer\",\"set\":\"x\",\"limit\":null,\"ksr\":0.25}\n";
        fs::write(&path, format!("{peer}{}", peer.replace("null", "3").replace("0.25", "0.5")))
            .expect("written");
        let results = Results::open(&path, None).expect("read");
        assert_eq!(results.configurations(), ["a peer"]);
        assert!(results.get("a peer", "x").is_some_and(|figures| (figures.ksr - 0.25).abs() < 1e-9));
        fs::write(&path, format!("{peer}nonsense\n")).expect("written");
        assert!(format!("{:#}", Results::open(&path, None).expect_err("no result")).contains("line 2"));
    }
}
