//! What each part is worth: the same typist before the ensemble, before each predictor alone, and with each part left out.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use foretype::engine::Predictor;

use crate::corpus;
use crate::desk::Setup;
use crate::results::Results;
use crate::score::Figures;

/// Rows whose details are told.
const EVERYTHING: &str = "ensemble, personal";
const SHOWN: &str = "ensemble, personal, default threshold";

/// A figure as it is shown.
type Show = fn(&Figures) -> String;

/// A row of the table.
struct Row {
    name: String,
    setup: Setup,
}

/// The rows, each a change of `base`: everything is shown in all but the one that says otherwise.
fn rows(base: &Setup) -> Vec<Row> {
    let shown = Setup { min_confidence: Some(0.0), ..base.clone() };
    let mut rows = Vec::new();
    let mut row = |name: String, setup: Setup| rows.push(Row { name, setup });
    row(EVERYTHING.into(), shown.clone());
    row(SHOWN.into(), Setup { min_confidence: None, ..base.clone() });
    row("ensemble, personal, list of 3".into(), Setup { k: 3, ..shown.clone() });
    row("ensemble, not personal".into(), Setup { no_personal: true, ..shown.clone() });
    row("ensemble, personal, the writers a team".into(), Setup { team: true, ..shown.clone() });
    row("ensemble, without the conversation".into(), Setup { no_context: true, ..shown.clone() });
    row("ensemble, without feedback".into(), Setup { no_feedback: true, ..shown.clone() });
    // Without a team there is nothing that it could say.
    let speaks = |who: Predictor| who != Predictor::Team || base.team;
    let members: Vec<_> = base.predictors.iter().copied().filter(|who| speaks(*who)).collect();
    for left_out in members.iter().filter(|_| members.len() > 1) {
        let predictors = base.predictors.iter().copied().filter(|who| who != left_out).collect();
        row(format!("without {}", left_out.name()), Setup { predictors, ..shown.clone() });
    }
    let absent = |who: &Predictor| speaks(*who) && !base.predictors.contains(who);
    for added in Predictor::ALL.into_iter().filter(absent) {
        let predictors = base.predictors.iter().copied().chain([added]).collect();
        row(format!("with {}", added.name()), Setup { predictors, ..shown.clone() });
    }
    for alone in &members {
        row(format!("{} alone", alone.name()), Setup { predictors: vec![*alone], ..shown.clone() });
    }
    rows
}

/// What was measured.
#[derive(Debug)]
pub struct Table {
    /// In the order of the table.
    rows: Vec<String>,
    sets: Vec<String>,
    results: Results,
}

/// Measures what is not in `results` yet, of this set-up; rows of others that are there (a peer's) come last in the table.
///
/// # Errors
/// When a file cannot be read or written, the models not be opened, or a request is refused.
pub fn run(base: &Setup, files: &[PathBuf], only: &[String], results: &Path) -> Result<Table> {
    let mut results = Results::open(results, base.limit)?;
    let mut names = Vec::new();
    for Row { name, setup } in rows(base) {
        if !only.is_empty() && !only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        for file in files {
            results.measure(&name, &setup, file)?;
        }
        names.push(name);
    }
    let others = results.configurations().iter().filter(|name| only.is_empty() && !names.contains(name));
    let others: Vec<_> = others.cloned().collect();
    names.extend(others);
    Ok(Table { rows: names, sets: files.iter().map(|file| corpus::set(file)).collect(), results })
}

impl Table {
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        cell: impl Fn(&str) -> Option<String>,
    ) -> fmt::Result {
        let cells: Vec<_> = self.sets.iter().map(|set| cell(set).unwrap_or_else(|| "–".into())).collect();
        writeln!(f, "| {label} | {} |", cells.join(" | "))
    }
}

/// Markdown: KSR of every row, and what else there is to know of the ensemble.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "---|".repeat(self.sets.len() + 1);
        writeln!(f, "| KSR | {} |\n|{rule}", self.sets.join(" | "))?;
        let of = |row: &str, set: &str| self.results.get(row, set);
        for row in &self.rows {
            self.line(f, row, |set| Some(format!("{:.3}", of(row, set)?.ksr)))?;
        }
        let details: [(&str, &str, Show); 6] = [
            ("net, default threshold", SHOWN, |figures| format!("{:.3}", figures.net)),
            ("precision, default threshold", SHOWN, |figures| format!("{:.3}", figures.precision)),
            ("coverage, default threshold", SHOWN, |figures| format!("{:.2}", figures.coverage)),
            ("words a suggestion that is taken", SHOWN, |figures| format!("{:.2}", figures.accept_words)),
            ("net, everything shown", EVERYTHING, |figures| format!("{:.3}", figures.net)),
            ("ece, everything shown", EVERYTHING, |figures| format!("{:.3}", figures.ece)),
        ];
        writeln!(f, "\n| | {} |\n|{rule}", self.sets.join(" | "))?;
        for (label, row, show) in details {
            self.line(f, label, |set| of(row, set).map(show))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_predictor_is_alone_and_left_out_once() {
        let base = Setup { predictors: Predictor::ALL.to_vec(), team: true, ..Setup::default() };
        let rows = rows(&base);
        for who in Predictor::ALL {
            let alone = rows.iter().filter(|row| row.setup.predictors == [who]).count();
            let left_out = rows
                .iter()
                .filter(|row| !row.setup.predictors.contains(&who) && row.name.starts_with("without"));
            assert_eq!((alone, left_out.count()), (1, 1));
        }
        let few = Setup { predictors: vec![Predictor::Domain], team: true, ..Setup::default() };
        let added = super::rows(&few).iter().filter(|row| row.name.starts_with("with ")).count();
        assert_eq!(added, Predictor::ALL.len() - 1);
        let mut names: Vec<_> = rows.iter().map(|row| &row.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rows.len());
    }

    #[test]
    fn rows_of_others_come_last_and_what_is_missing_is_a_dash() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let results = folder.path().join("rows.jsonl");
        fs::write(&results, "{\"configuration\":\"a peer\",\"set\":\"x\",\"limit\":null,\"ksr\":0.25}\n")
            .expect("written");
        let files = ["x.jsonl".into(), "y.jsonl".into()];
        let table = run(&Setup::default(), &files, &["nothing".into()], &results).expect("read");
        assert_eq!(table.rows, Vec::<String>::new());
        let table = Table { rows: vec!["a peer".into()], ..table };
        assert!(table.to_string().contains("| a peer | 0.250 | – |"), "{table}");
    }
}
