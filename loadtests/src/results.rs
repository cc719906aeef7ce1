//! What was measured, kept between runs: a JSON line a configuration and set, written as soon as it is known.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::corpus;
use crate::desk::Setup;
use crate::quality;
use crate::score::Figures;

/// A configuration on a set.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell {
    configuration: String,
    set: String,
    limit: Option<usize>,
    #[serde(flatten)]
    figures: Figures,
}

/// The figures of a file of results that are about as many messages.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    limit: Option<usize>,
    /// In the order they were first measured.
    configurations: Vec<String>,
    figures: BTreeMap<(String, String), Figures>,
}

impl Results {
    /// Reads what is there. `limit`: messages of each stream.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no result.
    pub fn open(path: &Path, limit: Option<usize>) -> Result<Self> {
        let (configurations, figures) = (Vec::new(), BTreeMap::new());
        let mut results = Self { path: path.to_owned(), limit, configurations, figures };
        if path.exists() {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            for (number, line) in BufReader::new(file).lines().enumerate() {
                let cell: Cell = serde_json::from_str(&line?)
                    .with_context(|| format!("{}, line {}", path.display(), number + 1))?;
                if cell.limit == limit {
                    results.add(cell);
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

    /// All configurations there are figures of, whoever measured them.
    pub fn configurations(&self) -> &[String] {
        &self.configurations
    }

    /// The figures of a configuration on a set, if they are known.
    pub fn get(&self, configuration: &str, set: &str) -> Option<&Figures> {
        self.figures.get(&(configuration.to_owned(), set.to_owned()))
    }

    /// Measures a configuration on a file of streams, unless that is known.
    ///
    /// # Errors
    /// When a file cannot be read or written, the models not be opened, or a request is refused.
    pub fn measure(&mut self, configuration: &str, setup: &Setup, file: &Path) -> Result<()> {
        let set = corpus::set(file);
        if self.get(configuration, &set).is_some() {
            return Ok(());
        }
        writeln!(std::io::stderr(), "{configuration}, {set}")?;
        let figures = quality::run(setup, &corpus::streams(file)?)?;
        let cell = Cell { configuration: configuration.to_owned(), set, limit: self.limit, figures };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut out = OpenOptions::new().create(true).append(true).open(&self.path)?;
        writeln!(out, "{}", serde_json::to_string(&cell)?)?;
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
