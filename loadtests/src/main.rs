//! The load generator's command line.

use std::io::{Write as _, stdout};

use anyhow::Result;
use clap::{Parser, Subcommand};
use foretype_loadtests::{corpus, load};

/// Types on many keyboards at once and says how long the answers took.
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
}

#[tokio::main]
async fn main() -> Result<()> {
    let Command::Load { plan, json } = Cli::parse().command;
    let texts = corpus::messages(plan.texts.as_deref())?;
    let report = load::run(&plan, &texts).await?;
    let shown = if json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
    stdout().write_all(shown.as_bytes())?;
    Ok(())
}
