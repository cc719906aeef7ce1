//! The command line of the measuring programs.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use foretype_loadtests::desk::{self, Setup};
use foretype_loadtests::score::Figures;
use foretype_loadtests::{ablation, corpus, curve, load, quality, wrong};
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
    /// Writers typing real messages key by key at a constant rate (open model)
    Load {
        #[command(flatten)]
        plan: load::Plan,
        /// Print the figures as JSON
        #[arg(long)]
        json: bool,
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

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Load { plan, json } => {
            let texts = corpus::messages(plan.texts.as_deref())?;
            let runtime = tokio::runtime::Runtime::new()?;
            let report = runtime.block_on(load::run(&plan, &texts))?;
            let shown = if json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
            stdout().write_all(shown.as_bytes())?;
        }
        Command::Quality { streams, setup } => {
            for path in &streams.files {
                let figures = quality::run(&setup, &desk::streams(path)?)?;
                let row = Row { set: &desk::set(path), k: setup.k, figures };
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
                let report = wrong::run(&setup, &desk::streams(path)?, list)?;
                if json {
                    for word in report.words() {
                        writeln!(stdout(), "{}", serde_json::to_string(word)?)?;
                    }
                } else {
                    writeln!(stdout(), "{}: {report}", desk::set(path))?;
                }
            }
        }
    }
    Ok(())
}
