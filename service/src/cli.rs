//! The command line: every option is a flag, an environment variable and, where a command shares it with `serve`, a line of the
//! configuration file.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use foretype_models::Kernel;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::build;
use crate::caller::{LOCAL, Scope};
use crate::engine::Predictor;
use crate::wire::Role;
use crate::writer::{Id, WriterId};

/// Foretype finishes the sentences of people who write all day.
///
/// `foretype serve` and open the address it prints; type, and the rest appears in grey.
#[derive(Debug, Parser)]
#[command(name = "foretype", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// A TOML file of options by their long names, such as `budget-ms = 30`; flags and environment win over it.
    #[arg(long, env = "FORETYPE_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// What to log: a level, or levels by module such as `info,foretype=debug`. What people type is never logged.
    #[arg(long, env = "FORETYPE_LOG", value_name = "LEVEL", default_value = "info", global = true)]
    pub log: String,

    /// How to log: `text` for people, `json` for machines that collect it.
    #[arg(long, env = "FORETYPE_LOG_FORMAT", value_name = "FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,
}

const EXAMPLES: &str = "Examples:
  foretype serve                                  then open http://127.0.0.1:8080
  foretype serve --predictors personal,domain     without the GPT-2
  foretype complete \"Thanks for calling, I can he\"
  foretype build --corpus texts --out my-bundle   models from your own texts";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer keystrokes over HTTP
    Serve(Serve),
    /// Finish one text in the terminal
    Complete(Complete),
    /// Say who may ask the service
    Keys(Keys),
    /// Complete in an editor that speaks LSP
    Lsp(Lsp),
    /// Build a bundle from a folder of texts
    Build(build::Args),
    /// Describe what /metrics says
    Metrics(Metrics),
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line a person reads.
    Text,
    /// An object a line.
    Json,
}

/// `foretype serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where the API and the page are. Other than loopback only with API keys (`foretype keys add`), behind what encrypts.
    #[arg(long, env = "FORETYPE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    #[arg(help_heading = "Listening")]
    pub listen: SocketAddr,

    /// Where the dashboard (/admin), health and metrics are; apart from the API, so that it can be kept to operators.
    #[arg(long, env = "FORETYPE_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    #[arg(help_heading = "Listening")]
    pub admin_listen: SocketAddr,

    /// Models and data.
    #[command(flatten)]
    pub models: Models,

    /// Milliseconds an answer may take when the request does not say. More lets the GPT-2 say more; above 50 people
    /// notice.
    #[arg(long, env = "FORETYPE_BUDGET_MS", value_name = "MS", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000), help_heading = "Limits")]
    pub budget_ms: u64,

    /// Threads that answer requests, beside the one that runs the GPT-2. Fewer leave cores to it.
    #[arg(long, env = "FORETYPE_THREADS", value_name = "COUNT", default_value_t = default_threads())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256), help_heading = "Limits")]
    pub threads: u64,

    /// Writers kept in memory. The others are loaded when they type again, which costs them a few milliseconds once.
    #[arg(long, env = "FORETYPE_WARM_WRITERS", value_name = "COUNT", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..), help_heading = "Limits")]
    pub warm_writers: u64,

    /// Mebibytes these writers may take together.
    #[arg(long, env = "FORETYPE_WARM_MIB", value_name = "MIB", default_value_t = 1_024)]
    #[arg(value_parser = clap::value_parser!(u64).range(16..=1_048_576), help_heading = "Limits")]
    pub warm_mib: u64,

    /// How many writers of a team must have used a phrase before the others are shown it.
    #[arg(long, env = "FORETYPE_TEAM_WRITERS", value_name = "COUNT", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=16), help_heading = "Limits")]
    pub team_writers: u8,

    /// The share of lists of three suggestions and more that are shown in random order below the first, 0 or 0.01 to 1. It costs their
    /// readers little, and from these it is learned how much of what is taken is due to its place.
    #[arg(long, env = "FORETYPE_SHUFFLE_SHARE", value_name = "SHARE", default_value_t = 0.0)]
    #[arg(value_parser = share, help_heading = "Limits")]
    pub shuffle_share: f32,

    /// Where traces go: a collector of OpenTelemetry on this machine, such as http://127.0.0.1:4318 (OTLP over HTTP). Default:
    /// OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere. They say what took how long, never what was typed or by whom.
    #[arg(long, env = "FORETYPE_TRACE_ENDPOINT", value_name = "URL", help_heading = "Traces")]
    pub trace_endpoint: Option<String>,

    /// The share of requests that are traced, 0 to 1. Those whose client traces them are in any case.
    #[arg(long, env = "FORETYPE_TRACE_SHARE", value_name = "SHARE", default_value_t = 0.01)]
    #[arg(value_parser = of_all, help_heading = "Traces")]
    pub trace_share: f64,
}

fn of_all(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be between 0 and 1".to_owned())
}

/// Below a hundredth a single look would count for more than all others.
fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| *share == 0.0 || (0.01..=1.0).contains(share));
    share.ok_or_else(|| "must be 0, or between 0.01 and 1".to_owned())
}

/// Where models and data are, for every command that predicts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Models and data")]
pub struct Models {
    /// Folder of what writers taught. Default: the platform's folder for application data.
    #[arg(long, env = "FORETYPE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Folder of the models. Default: `models/bundle` of the checkout the binary or the shell is in.
    #[arg(long, env = "FORETYPE_BUNDLE", value_name = "DIR")]
    pub bundle: Option<PathBuf>,

    /// ONNX Runtime's library. Default: ORT_DYLIB_PATH, beside the binary, or `.runtime` of the checkout.
    #[arg(long, env = "FORETYPE_RUNTIME", value_name = "FILE")]
    pub runtime: Option<PathBuf>,

    /// Who predicts, of gpt2, personal, team, domain, charlm and recall. Leave some out to save memory or to see what each is worth.
    /// recall, the writer's nearest messages, costs time and has not paid where personal is there.
    #[arg(long, env = "FORETYPE_PREDICTORS", value_name = "LIST", value_delimiter = ',')]
    #[arg(default_values = ["gpt2", "personal", "team", "domain", "charlm"], value_parser = predictor)]
    pub predictors: Vec<Predictor>,

    /// Mebibytes of GPT-2 caches kept for open drafts; the least recently typed in go first. A draft takes one or two.
    #[arg(long, env = "FORETYPE_KV_MIB", value_name = "MIB", default_value_t = 128)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub kv_mib: u64,

    /// Threads that run the GPT-2, a core and 60 MiB each. One is enough for some tens of writers.
    #[arg(long, env = "FORETYPE_INFERENCE_THREADS", value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=64))]
    pub inference_threads: u64,

    /// Who computes the GPT-2's products with 4-bit weights, and its attention: our operators (own), ONNX Runtime's (onnxruntime), or
    /// whichever are quicker on this machine, which takes half a second to find out (fastest).
    #[arg(long, env = "FORETYPE_INT4_KERNEL", value_name = "WHO", default_value = "fastest")]
    pub int4_kernel: Kernel,

    /// Spend less on the GPT-2: it is asked only where that pays most, as if at least so many questions were always ahead. 0:
    /// as often and as deep as there is time.
    #[arg(long, env = "FORETYPE_THRIFT", value_name = "QUESTIONS", default_value = "0")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100))]
    pub thrift: Option<u32>,
}

/// `foretype complete`.
#[derive(Debug, Args)]
pub struct Complete {
    /// The text up to the cursor.
    pub text: String,

    /// Whose style: a writer that was taught through a service with the same data folder.
    #[arg(long, env = "FORETYPE_WRITER", value_name = "ID", value_parser = WriterId::new)]
    pub writer: Option<WriterId>,

    /// Whose customer the writer is.
    #[arg(long, env = "FORETYPE_TENANT", value_name = "ID", default_value = LOCAL, value_parser = Id::new)]
    pub tenant: Id,

    /// Who is writing.
    #[arg(long, env = "FORETYPE_ROLE", value_name = "ROLE", default_value = "author")]
    pub role: Role,

    /// How many candidates to list.
    #[arg(long, env = "FORETYPE_MAX_SUGGESTIONS", value_name = "COUNT", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10))]
    pub max_suggestions: u64,

    /// Hide what is less likely than this, from 0 to 1.
    #[arg(long, env = "FORETYPE_MIN_CONFIDENCE", value_name = "P", default_value_t = 0.0)]
    pub min_confidence: f32,

    /// Milliseconds the answer may take.
    #[arg(long, env = "FORETYPE_COMPLETE_BUDGET_MS", value_name = "MS", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub budget_ms: u64,

    /// Models and data.
    #[command(flatten)]
    pub models: Models,
}

/// `foretype keys`.
#[derive(Debug, Args)]
#[command(after_help = KEYS)]
pub struct Keys {
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,
}

const KEYS: &str = "With a first key, every request needs one: `authorization: Bearer KEY`. A running
service takes over what is added and revoked within a second, if --data is its own; once it had
a key, it asks for one until it is started anew. Of a key only its SHA-256 is stored.

Examples:
  foretype keys add --writer ann                    for Ann's plugins, which become hers alone
  foretype keys add --tenant acme --team desk-4     for a client that names its writers itself
  foretype keys add --tenant acme --scope writers   for erasing and exporting, nothing else
  foretype keys list
  foretype keys revoke 4f1c0a9be2d7";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and show it once
    Add(AddKey),
    /// Show the keys that hold, not their secrets
    List {
        /// The data folder of the service, which it says at its start. Default: the platform's folder for application data.
        #[arg(long, env = "FORETYPE_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Make a key hold no more
    Revoke {
        /// Its name, as `list` shows it, or the key itself.
        id: String,

        /// The data folder of the service, which it says at its start. Default: the platform's folder for application data.
        #[arg(long, env = "FORETYPE_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// `foretype keys add`.
#[derive(Debug, Args)]
pub struct AddKey {
    /// The customer. What their writers taught does not exist for others.
    #[arg(long, value_name = "ID", default_value = LOCAL, value_parser = Id::new)]
    pub tenant: Id,

    /// The team of this key's writers, if they are in none: they are shown what it shares, and what they teach is its too.
    #[arg(long, value_name = "ID", value_parser = Id::new)]
    pub team: Option<Id>,

    /// The only writer it is for. Requests need not name them, and may name nobody else.
    #[arg(long, value_name = "ID", value_parser = Id::new)]
    pub writer: Option<Id>,

    /// What it may be used for: `complete` (suggestions and what became of them), `learn` (messages that were sent), `writers` (see
    /// and change what is stored).
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = ["complete", "learn"])]
    pub scope: Vec<Scope>,

    /// The data folder of the service, which it says at its start. Default: the platform's folder for application data.
    #[arg(long, env = "FORETYPE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `foretype lsp`.
#[derive(Debug, Args)]
pub struct Lsp {
    /// The service to ask.
    #[arg(long, env = "FORETYPE_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,

    /// The API key, if the service wants one.
    #[arg(long, env = "FORETYPE_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,

    /// Ask no service: load the models into this process. One at a time can keep a data folder.
    #[arg(long, env = "FORETYPE_EMBEDDED")]
    pub embedded: bool,

    /// Models and data, with --embedded.
    #[command(flatten)]
    pub models: Models,
}

/// `foretype metrics`.
#[derive(Debug, Args)]
pub struct Metrics {
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

fn predictor(name: &str) -> std::result::Result<Predictor, String> {
    Predictor::from_name(name.trim())
        .ok_or_else(|| "one of gpt2, personal, team, domain, charlm, recall".into())
}

/// One core is the inference thread's.
fn default_threads() -> u64 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, 16) as u64
}

/// Logs to standard error.
pub fn start_log(level: &str, format: LogFormat) -> Result<()> {
    let wrong = || {
        format!(
            "--log takes a level (error, warn, info, debug, trace or off), or levels by module, not {level:?}"
        )
    };
    // The library takes a word that is no level for the name of a module, which then is all that is logged.
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let known = level.split(',').all(|part| part.contains(['=', '[', ':']) || is_level(part.trim()));
    anyhow::ensure!(known, wrong());
    let filter = EnvFilter::try_new(level).with_context(wrong)?;
    let (is_read, writer) = (io::stderr().is_terminal(), io::stderr);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_read).with_writer(writer);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// An error and its causes on one line, without those that the line already tells.
pub fn explain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no space").context("cannot write: no space").context("saving");
        assert_eq!(explain(&error), "saving: cannot write: no space");
    }
}
