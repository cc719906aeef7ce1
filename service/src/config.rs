//! The layers of the configuration: a flag wins over the environment, that over the file, that over the default.
//!
//! The file's values are made the defaults of the command line and parsed by it, so that one parser checks all layers
//! and `--help` shows what holds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

use crate::cli::Cli;

/// Commands whose options a file may set.
const CONFIGURED: [&str; 4] = ["serve", "complete", "lsp", "keys"];

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line, the environment, or a call for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {source}", file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// Where it breaks.
        source: Box<toml::de::Error>,
    },
    /// The file sets what does not exist.
    #[error("{} sets `{key}`, which is no option of `foretype serve`; known are: {known}", file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What there is.
        known: String,
    },
    /// The file sets an option to a value that it does not take.
    #[error("in {}: {source}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// What the option takes.
        source: Box<clap::Error>,
    },
}

/// Parses the command line over environment, file and defaults.
pub fn parse<I, S>(arguments: I) -> Result<Cli, ConfigError>
where
    I: IntoIterator<Item = S>,
    S: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let matches = Cli::command().try_get_matches_from(&arguments)?;
    let Some(file) = config_file(&matches) else {
        return Ok(Cli::from_arg_matches(&matches)?);
    };
    let text =
        std::fs::read_to_string(&file).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
    let table: Table = toml::from_str(&text)
        .map_err(|source| ConfigError::Toml { file: file.clone(), source: Box::new(source) })?;
    let command = with_defaults(Cli::command(), &file, &table)?;
    // Without the file it parsed, so what fails now is the file's.
    let wrong = |source| ConfigError::Value { file: file.clone(), source: Box::new(source) };
    let matches = command.try_get_matches_from(&arguments).map_err(wrong)?;
    Cli::from_arg_matches(&matches).map_err(wrong)
}

fn config_file(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_one::<PathBuf>("config").cloned()
}

/// Makes the file's values defaults, of every configured command that has the option.
fn with_defaults(mut command: Command, file: &Path, table: &Table) -> Result<Command, ConfigError> {
    let serve = command.find_subcommand(CONFIGURED[0]).into_iter().flat_map(Command::get_opts);
    let mut known: Vec<String> =
        command.get_opts().chain(serve).filter_map(|option| option.get_long().map(String::from)).collect();
    known.retain(|name| name != "config");
    for (key, value) in table {
        if !known.contains(key) {
            let (file, key, known) = (file.into(), key.clone(), known.join(", "));
            return Err(ConfigError::UnknownKey { file, key, known });
        }
        command = set_own_default(command, key, value);
        for name in CONFIGURED {
            command = command.mut_subcommand(name, |subcommand| set_default(subcommand, key, value));
        }
    }
    Ok(command)
}

/// Of the command, and of those it has in turn.
fn set_default(mut command: Command, long: &str, value: &Value) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |subcommand| set_default(subcommand, long, value));
    }
    set_own_default(command, long, value)
}

fn set_own_default(command: Command, long: &str, value: &Value) -> Command {
    let option = command.get_opts().find(|option| option.get_long() == Some(long));
    match option.map(|option| option.get_id().clone()) {
        Some(id) => command.mut_arg(id, |option| option.default_values(texts(value))),
        None => command,
    }
}

/// The value as one would type it.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
