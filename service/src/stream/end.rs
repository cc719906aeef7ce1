//! Why a connection ended, and what its client is told of it.

use std::error::Error;

use axum::extract::ws::{CloseFrame, Utf8Bytes, close_code};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed it, or its network did.
    Client,
    /// Nothing was heard of the client.
    Silent,
    /// Nobody typed.
    Idle,
    /// The client did not read.
    Slow,
    /// The client sent nonsense, and went on.
    Nonsense,
    /// What the client sent is not what WebSockets are made of.
    Protocol,
    /// The client sent text that is none.
    Encoding,
    /// The client sent far more than a message may be.
    TooLarge,
    /// A key is needed, and the client has none that holds.
    Stranger,
    /// The service stops.
    Stopping,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Client,
        Self::Silent,
        Self::Idle,
        Self::Slow,
        Self::Nonsense,
        Self::Protocol,
        Self::Encoding,
        Self::TooLarge,
        Self::Stranger,
        Self::Stopping,
    ];

    /// The name metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Nonsense => "nonsense",
            Self::Protocol => "protocol",
            Self::Encoding => "encoding",
            Self::TooLarge => "too_large",
            Self::Stranger => "stranger",
            Self::Stopping => "stopping",
        }
    }

    /// What ended a socket that is read no more. The library names what is wrong with a frame; telling the client is left to us.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
        match causes.find_map(|cause| cause.downcast_ref()) {
            Some(tungstenite::Error::Utf8(_)) => Self::Encoding,
            Some(tungstenite::Error::Capacity(_)) => Self::TooLarge,
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Client,
            Some(tungstenite::Error::Protocol(_)) => Self::Protocol,
            _ => Self::Client,
        }
    }

    /// Whether a frame was broken: what comes after it cannot be told apart.
    pub(super) const fn is_broken(self) -> bool {
        matches!(self, Self::Protocol | Self::Encoding | Self::TooLarge)
    }

    /// What the client is told; `None`: it would not hear.
    pub(super) fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Client | Self::Silent | Self::Slow => return None,
            Self::Idle => {
                (close_code::NORMAL, "nobody typed for ten minutes: connect again when somebody does")
            }
            Self::Nonsense => (close_code::POLICY, "too many messages in a row were refused"),
            Self::Protocol => (close_code::PROTOCOL, "a frame breaks the protocol of WebSockets (RFC 6455)"),
            Self::Encoding => (close_code::INVALID, "text must be UTF-8"),
            Self::TooLarge => (close_code::SIZE, "a message may have 64 KiB at most"),
            Self::Stranger => (close_code::POLICY, "no API key that holds: connect again with one"),
            Self::Stopping => (close_code::AWAY, "the service stops: connect again"),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }
}
