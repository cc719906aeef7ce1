//! The binary `foretype`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use foretype::cli::{self, Cli, Command};
use foretype::config::{self, ConfigError};
use foretype::{build, keys, lsp, metrics, serve, terminal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(std::io::stderr(), "foretype: {}", cli::explain(&error));
    ExitCode::FAILURE
}

fn run() -> Result<()> {
    let Cli { command, log, log_format, .. } = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and usage have their own format and exit codes.
        Err(ConfigError::Arguments(message)) => message.exit(),
        Err(error) => return Err(error.into()),
    };
    cli::start_log(&log, log_format)?;
    match &command {
        Command::Serve(options) => serve::run(options),
        Command::Complete(options) => terminal::run(options),
        Command::Keys(options) => keys::run(&options.command),
        Command::Lsp(options) => lsp::run(options),
        Command::Build(options) => build::run(options),
        Command::Metrics(options) => metrics::run(options),
    }
}
