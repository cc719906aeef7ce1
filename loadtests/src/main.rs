//! The command line of the measuring programs.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use foretype_loadtests::desk::Setup;
use foretype_loadtests::score::Figures;
use foretype_loadtests::{ablation, capacity, corpus, crowd, curve, quality, wrong};
use serde::Serialize;

/// Types, and says what was saved and how long answers took.
#[derive(Debug, Parser)]
#[command(name = "loadtests", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writers typing at the rhythm of people against a running service: how long answers take, what is saved, and how many
    /// may type at once
    Type {
        /// Files of streams, as in `quality`. Default: two dozen messages that come along
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        plan: crowd::Plan,
        #[command(flatten)]
        search: capacity::Search,
        /// Write all figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Draw latency over time, or latency and net by the number of writers, SVG
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
    /// What suggestions save: streams of messages typed against the models in process, a JSON line a file
    Quality {
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        setup: Setup,
    },
    /// What each part is worth: the ensemble, each predictor alone and left out, as Markdown; goes on where it was cut off
    Ablation {
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        setup: Setup,
        /// Rows whose name contains one of these
        #[arg(long, value_delimiter = ',', value_name = "NAME")]
        only: Vec<String>,
        /// What was measured: a JSON line a row and set
        #[arg(long, value_name = "FILE", default_value = "target/ablation.jsonl")]
        results: PathBuf,
    },
    /// Learning curves: what suggestions save by how much was taught before, as Markdown and a picture
    Curve {
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        setup: Setup,
        /// What was measured: a JSON line a point
        #[arg(long, value_name = "FILE", default_value = "target/curve.jsonl")]
        results: PathBuf,
        /// The picture, SVG
        #[arg(long, value_name = "FILE", default_value = "target/curve.svg")]
        out: PathBuf,
    },
    /// Where the keys go: why each was pressed by hand, and the costliest wrong and missed suggestions
    Wrong {
        #[command(flatten)]
        streams: Streams,
        #[command(flatten)]
        setup: Setup,
        /// How many words and suggestions are listed
        #[arg(long, default_value_t = 20)]
        list: usize,
        /// Print every word as a JSON line instead
        #[arg(long)]
        json: bool,
    },
}

/// What is typed.
#[derive(Debug, clap::Args)]
struct Streams {
    /// Files of streams, a writer a line: `{"writer","history":["…"],"messages":[{"context":[{"role","text"}],"text"}]}`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What `quality` says of a file.
#[derive(Debug, Serialize)]
struct Row<'a> {
    set: &'a str,
    k: u16,
    #[serde(flatten)]
    figures: Figures,
}

/// Refuses a place where no file can be made.
fn writable(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path);
    file.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// On standard output as a table, and into a file as JSON.
fn told(figures: &(impl Serialize + Display), json: Option<&Path>) -> Result<()> {
    write!(stdout(), "{figures}")?;
    let Some(path) = json else { return Ok(()) };
    let written = fs::write(path, serde_json::to_string_pretty(figures)? + "\n");
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Type { files, plan, search, json, plot } => {
            let streams = corpus::interleaved(&files)?;
            // Not only after a minute of typing.
            [&json, &plot].into_iter().flatten().try_for_each(|path| writable(path))?;
            let runtime = tokio::runtime::Runtime::new()?;
            if search.capacity {
                let found = runtime.block_on(capacity::find(&plan, &search, &streams))?;
                told(&found, json.as_deref())?;
                plot.map_or(Ok(()), |path| found.draw(&path))?;
            } else {
                let report = runtime.block_on(crowd::run(&plan, &streams))?;
                told(&report, json.as_deref())?;
                plot.map_or(Ok(()), |path| report.draw(&path))?;
            }
        }
        Command::Quality { streams, setup } => {
            for path in &streams.files {
                let figures = quality::run(&setup, &corpus::streams(path)?)?;
                let row = Row { set: &corpus::set(path), k: setup.k, figures };
                writeln!(stdout(), "{}", serde_json::to_string(&row)?)?;
            }
        }
        Command::Ablation { streams, setup, only, results } => {
            write!(stdout(), "{}", ablation::run(&setup, &streams.files, &only, &results)?)?;
        }
        Command::Curve { streams, setup, results, out } => {
            let curves = curve::run(&setup, &streams.files, &results)?;
            curves.draw(&out)?;
            write!(stdout(), "{curves}")?;
        }
        Command::Wrong { streams, setup, list, json } => {
            for path in &streams.files {
                let report = wrong::run(&setup, &corpus::streams(path)?, list)?;
                if json {
                    for word in report.words() {
                        writeln!(stdout(), "{}", serde_json::to_string(word)?)?;
                    }
                } else {
                    writeln!(stdout(), "{}: {report}", corpus::set(path))?;
                }
            }
        }
    }
    Ok(())
}
