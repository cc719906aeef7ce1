//! The binary `foretype`.

use anyhow::Result;
use foretype::cli::{Cli, Command, LogFormat};
use foretype::config::{self, ConfigError};
use foretype::{build, serve, terminal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let cli = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and usage have their own format and exit codes.
        Err(ConfigError::Arguments(message)) => message.exit(),
        Err(error) => return Err(error.into()),
    };
    start_log(&cli)?;
    match &cli.command {
        Command::Serve(options) => serve::run(options),
        Command::Complete(options) => terminal::run(options),
        Command::Build(options) => build::run(options),
    }
}

fn start_log(cli: &Cli) -> Result<()> {
    let filter = EnvFilter::try_new(&cli.log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
