//! `POST /v1/completions` as Tabby's clients ask, and what else they want of a server: `/v1/events`, `/v1/health`,
//! `/v1beta/server_setting`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::editor::{Draft, Extent, MODEL};
use super::within;
use crate::app::{Answer, Keystroke, Verdict};
use crate::engine::{Health, Outcome};
use crate::error::ApiError;
use crate::session::hashed;

/// The version of Tabby's server whose protocol this is. Clients ask servers from 0.9 on for their settings, and send telemetry
/// to others than this service unless these forbid it.
const SPEAKS: &str = "v0.10.0";

/// A completion as Tabby's clients ask for it. Unknown fields are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct TabbyRequest {
    /// What is around the cursor.
    pub segments: Segments,
    /// Who is typing: a writer's id. Of another name one is made: its letters, and a hash.
    pub user: Option<String>,
}

/// What is around the cursor.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Segments {
    /// The document up to the cursor.
    pub prefix: String,
    /// The document from there.
    pub suffix: Option<String>,
    /// Which document: keeps caches warm.
    pub filepath: Option<String>,
    /// The repository it is in.
    pub git_url: Option<String>,
}

impl TabbyRequest {
    /// What the service is asked.
    pub fn keystroke(self) -> Keystroke {
        let Segments { prefix, suffix, filepath, git_url } = self.segments;
        let draft = Draft {
            before: prefix,
            after: suffix.unwrap_or_default(),
            user: self.user,
            session: format!("tabby {:016x}", hashed(&(git_url, filepath))),
            choices: 1,
            ..Draft::default()
        };
        draft.keystroke()
    }
}

/// The answer for Tabby's clients.
#[derive(Debug, Serialize)]
pub struct TabbyResponse {
    id: String,
    choices: Vec<Choice>,
}

#[derive(Debug, Serialize)]
struct Choice {
    index: usize,
    text: String,
}

impl From<&Answer> for TabbyResponse {
    fn from(answer: &Answer) -> Self {
        let texts = Extent::default().of_each(&answer.completion);
        let choice = |(index, (text, _)): (usize, &(&str, _))| Choice { index, text: (*text).to_owned() };
        Self { id: format!("cmpl-{}", answer.id), choices: texts.iter().enumerate().map(choice).collect() }
    }
}

/// Something happened to a choice. Unknown fields are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct TabbyEvent {
    /// What.
    pub r#type: TabbyEventType,
    /// The answer's id.
    pub completion_id: String,
    /// Which of its choices, from 0.
    pub choice_index: u32,
}

/// What happened to a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TabbyEventType {
    /// It was shown.
    View,
    /// It was taken.
    Select,
    /// It was dismissed.
    Dismiss,
}

/// How much of it was taken.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SelectKind {
    /// `line`: its first line only.
    pub select_kind: Option<String>,
}

impl TabbyEvent {
    /// The verdict; `None`: it is not known yet.
    pub fn check(self, kind: &SelectKind) -> Result<Option<Verdict>, ApiError> {
        let index = within("choice_index", self.choice_index, 0, 9)? as usize;
        let outcome = match self.r#type {
            TabbyEventType::View => return Ok(None),
            TabbyEventType::Select if kind.select_kind.as_deref() == Some("line") => Outcome::Partial,
            TabbyEventType::Select => Outcome::Accepted,
            TabbyEventType::Dismiss => Outcome::Rejected,
        };
        let id = self.completion_id.strip_prefix("cmpl-").unwrap_or(&self.completion_id).to_owned();
        Ok(Some(Verdict { id, outcome, index, chars: 0 }))
    }
}

/// Says that the service is there, and what it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct TabbyHealth {
    /// `foretype` and its bundle.
    pub model: String,
    /// Always `cpu`.
    pub device: &'static str,
    /// Such as `x86_64`.
    pub arch: &'static str,
    /// Always empty.
    pub cpu_info: &'static str,
    /// Cores.
    pub cpu_count: usize,
    /// Always empty.
    pub cuda_devices: [String; 0],
    /// Which release.
    pub version: TabbyVersion,
}

/// Which release.
#[derive(Debug, Serialize, ToSchema)]
pub struct TabbyVersion {
    /// Always empty.
    pub build_date: &'static str,
    /// Always empty.
    pub build_timestamp: &'static str,
    /// Always empty.
    pub git_sha: &'static str,
    /// The version of the protocol, and this service's.
    pub git_describe: String,
}

impl From<Health> for TabbyHealth {
    fn from(health: Health) -> Self {
        Self {
            model: format!("{MODEL} {}", health.bundle),
            device: "cpu",
            arch: std::env::consts::ARCH,
            cpu_info: "",
            cpu_count: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cuda_devices: [],
            version: TabbyVersion {
                build_date: "",
                build_timestamp: "",
                git_sha: "",
                git_describe: format!("{SPEAKS}-foretype-{}", env!("CARGO_PKG_VERSION")),
            },
        }
    }
}

/// What clients are to do.
#[derive(Debug, Serialize, ToSchema)]
pub struct TabbySettings {
    /// Always true: who uses this service has not asked for theirs to be told to others.
    pub disable_client_side_telemetry: bool,
}

impl Default for TabbySettings {
    fn default() -> Self {
        Self { disable_client_side_telemetry: true }
    }
}
