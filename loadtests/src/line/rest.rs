//! A request a key. A newer key drops the older one's request, and its connection with it, as a browser does; outcomes and
//! messages go over connections of their own.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use super::{Answer, ERRANDS, Heard, Line, Opening, Outcome, PATIENCE, Reason, no_answer};
use crate::client::{Address, Connection};

/// A writer's connections.
#[derive(Debug)]
pub(crate) struct Rest {
    address: Address,
    opening: Opening,
    /// The one for keys, while none is asked about.
    keys: Option<Connection>,
    asking: Option<JoinHandle<(Connection, Result<Answer, Reason>)>>,
    idle: Vec<Connection>,
    errands: JoinSet<(Connection, Result<(), Reason>)>,
}

/// The body of `POST /v1/complete`.
#[derive(Serialize)]
struct Key<'a> {
    text: &'a str,
    #[serde(flatten)]
    opening: &'a Opening,
}

/// The body of what is refused.
#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
}

impl Rest {
    /// No connection is open yet.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            opening: Opening::default(),
            keys: None,
            asking: None,
            idle: Vec::new(),
            errands: JoinSet::new(),
        }
    }

    fn run(&mut self, path: &'static str, body: Vec<u8>) -> Result<(), Reason> {
        if self.errands.len() >= ERRANDS {
            return Err("too many outcomes and messages under way".to_owned());
        }
        let mut connection = self.idle.pop().unwrap_or_else(|| Connection::new(self.address.clone()));
        self.errands.spawn(async move {
            let done = post(&mut connection, path, body).await.map(drop);
            (connection, done)
        });
        Ok(())
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

impl Line for Rest {
    async fn open(&mut self, opening: Opening) -> Result<(), Reason> {
        self.opening = opening;
        Ok(())
    }

    async fn edit(&mut self, draft: &str) -> Result<(), Reason> {
        if let Some(overtaken) = self.asking.take() {
            overtaken.abort();
        }
        let mut connection = self.keys.take().unwrap_or_else(|| Connection::new(self.address.clone()));
        let body = written(&Key { text: draft, opening: &self.opening });
        self.asking = Some(tokio::spawn(async move {
            let answer = post(&mut connection, "/v1/complete", body).await;
            let answer = answer
                .and_then(|body| serde_json::from_slice(&body).map_err(|_| "unreadable answer".to_owned()));
            (connection, answer)
        }));
        Ok(())
    }

    async fn heard(&mut self) -> Heard {
        let Self { keys, asking, idle, errands, .. } = self;
        let answered = async {
            match &mut *asking {
                Some(asking) => asking.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answered = answered => {
                *asking = None;
                // Nobody else ends this task, so it panicked.
                let Ok((connection, answer)) = answered else { return Heard::Refused("a bug here".to_owned()) };
                *keys = Some(connection);
                answer.map_or_else(Heard::Refused, |answer| Heard::Answer { answer, whole: true })
            }
            Some(done) = errands.join_next() => {
                let Ok((connection, done)) = done else { return Heard::Errand(Err("a bug here".to_owned())) };
                idle.push(connection);
                Heard::Errand(done)
            }
        }
    }

    async fn outcome(&mut self, outcome: Outcome) -> Result<(), Reason> {
        self.run("/v1/feedback", written(&outcome))
    }

    async fn learn(&mut self, text: &str) -> Result<(), Reason> {
        // Without the conversation, as the evaluation kit's typist sends it.
        self.run("/v1/learn", written(&json!({"writer": self.opening.writer, "text": text})))
    }

    fn errands(&self) -> usize {
        self.errands.len()
    }
}

fn written(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers can be written to memory")
}

/// The body of a success.
async fn post(connection: &mut Connection, path: &str, body: Vec<u8>) -> Result<hyper::body::Bytes, Reason> {
    let posted = tokio::time::timeout(PATIENCE, connection.post(path, body)).await;
    let (status, body) = posted.map_err(|_| no_answer())?.map_err(|_| "connection".to_owned())?;
    if status.is_success() {
        return Ok(body);
    }
    let code = serde_json::from_slice::<Refusal>(&body).map_or(String::new(), |refusal| refusal.error.code);
    Err(format!("{} {code}", status.as_u16()).trim_end().to_owned())
}
