//! The command line of the measuring programs.

use std::io::{Write as _, stdout};

use anyhow::Result;
use clap::{Parser, Subcommand};
use foretype_loadtests::{corpus, load, quality};
use serde_json::{Value, json};

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
        plan: quality::Plan,
    },
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
        Command::Quality { plan } => {
            for path in &plan.streams {
                let figures = quality::run(&plan, &quality::streams(path)?)?;
                let set = path.file_stem().unwrap_or_default().to_string_lossy();
                let mut line = json!({"set": set, "k": plan.k});
                merge(&mut line, serde_json::to_value(figures)?);
                writeln!(stdout(), "{line}")?;
            }
        }
    }
    Ok(())
}

fn merge(line: &mut Value, other: Value) {
    if let (Some(line), Value::Object(other)) = (line.as_object_mut(), other) {
        line.extend(other);
    }
}
