//! The loop over what an editor says. Documents change in the order their changes come; questions are answered beside it, and the
//! newest about a document ends those before.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    Cancel, DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument,
    Notification as _,
};
use lsp_types::request::{Completion, ExecuteCommand, InlineCompletionRequest, Request as _, Shutdown};
use lsp_types::{
    CompletionParams, DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DidSaveTextDocumentParams, ExecuteCommandParams, InlineCompletionParams, InlineCompletionTriggerKind,
    NumberOrString, TextDocumentPositionParams,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::answer::{self, ACCEPTED};
use super::document::{Document, Encoding};
use super::learning::Learning;
use super::lessons::{Lessons, complain};
use super::options::Options;
use super::service::{Fault, Service};
use crate::app::{Keystroke, Verdict};
use crate::engine::Outcome;
use crate::session::hashed;
use crate::wire::Draft;

/// Documents that are open at most.
const DOCUMENTS: usize = 1_000;
/// Bytes of a document at most; of a longer one nothing is suggested.
const LONGEST: usize = 8 << 20;
/// How long what is to be learned may take when the editor goes.
const FAREWELL: Duration = Duration::from_secs(1);

struct Open {
    document: Document,
    learning: Learning,
    /// Whether it holds what was not saved.
    changed: bool,
}

/// A question that is being answered, and about which document. Who takes it out of the map answers it.
type Pending = Arc<Mutex<HashMap<RequestId, (String, AbortHandle)>>>;

pub(super) struct Server<'a> {
    connection: &'a Connection,
    runtime: Handle,
    service: Arc<Service>,
    options: Options,
    encoding: Encoding,
    /// Tells this editor's sessions from others'.
    name: u64,
    documents: HashMap<String, Open>,
    pending: Pending,
    /// What is to be learned; `None`: nothing more.
    lessons: Option<Lessons>,
    /// What is learned and heard.
    work: JoinSet<()>,
    /// Whether the writer was told that nobody answers.
    told: Arc<AtomicBool>,
}

impl<'a> Server<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        runtime: Handle,
        service: Arc<Service>,
        options: Options,
        encoding: Encoding,
    ) -> Self {
        let (told, mut work) = (Arc::<AtomicBool>::default(), JoinSet::new());
        let name = RandomState::new().hash_one(());
        let (lessons, teaching) = Lessons::new(Arc::clone(&service), name, connection.sender.clone());
        work.spawn_on(teaching, &runtime);
        Self {
            connection,
            runtime,
            service,
            options,
            encoding,
            name,
            documents: HashMap::new(),
            pending: Pending::default(),
            lessons: Some(lessons),
            work,
            told,
        }
    }

    /// Answers until the editor says it is done, or is gone. `false`: it did not say so.
    pub(super) fn run(mut self) -> bool {
        for message in &self.connection.receiver {
            match message {
                Message::Request(request) if request.method == Shutdown::METHOD => {
                    self.finish();
                    // An error says that the editor did not wait.
                    drop(self.connection.handle_shutdown(&request));
                    return true;
                }
                Message::Request(request) => self.answer(request),
                Message::Notification(notification) => self.hear(notification),
                // To questions that this server never asks.
                Message::Response(_) => {}
            }
        }
        self.finish();
        false
    }

    /// Learns what is still to be learned. Editors wait for the answer to their farewell, and for little else.
    fn finish(&mut self) {
        let open: Vec<_> = self.documents.keys().cloned().collect();
        open.iter().for_each(|uri| self.leave(uri));
        self.lessons = None;
        let work = async { while self.work.join_next().await.is_some() {} };
        if self.runtime.block_on(async { tokio::time::timeout(FAREWELL, work).await }).is_err() {
            tracing::warn!("the editor is gone, and not all that was saved is learned");
        }
    }

    fn answer(&mut self, request: Request) {
        let Request { id, method, params } = request;
        let result = match method.as_str() {
            InlineCompletionRequest::METHOD => {
                read(params).map(|params: InlineCompletionParams| self.complete_inline(&id, &params))
            }
            Completion::METHOD => read(params).map(|params: CompletionParams| self.complete(&id, &params)),
            ExecuteCommand::METHOD => read(params).and_then(|params: ExecuteCommandParams| {
                self.execute(&params)?;
                self.send(Response::new_ok(id.clone(), Value::Null));
                Ok(())
            }),
            _ => Err((ErrorCode::MethodNotFound, format!("{method} is not spoken here"))),
        };
        if let Err((code, message)) = result {
            self.send(Response::new_err(id, code as i32, message));
        }
    }

    fn complete_inline(&mut self, id: &RequestId, params: &InlineCompletionParams) {
        let at = &params.text_document_position;
        let asked_for = params.context.trigger_kind == InlineCompletionTriggerKind::Invoked;
        let position = at.position;
        self.suggest(id, at, asked_for, move |_, suggested| answer::inline(&suggested, position));
    }

    fn complete(&mut self, id: &RequestId, params: &CompletionParams) {
        let at = &params.text_document_position;
        let (position, encoding) = (at.position, self.encoding);
        let list = move |begun: &str, suggested| answer::list(begun, &suggested, position, encoding);
        self.suggest(id, at, false, list);
    }

    /// Asks what comes at a position, and answers in the shape that `shape` makes of it and of the word that is begun there.
    fn suggest(
        &mut self,
        id: &RequestId,
        at: &TextDocumentPositionParams,
        asked_for: bool,
        shape: impl FnOnce(&str, super::service::Suggested) -> Value + Send + 'static,
    ) {
        let uri = at.text_document.uri.as_str();
        self.end(|of| of == uri);
        let Some(open) = self.documents.get(uri) else {
            return self.send(Response::new_ok(id.clone(), Value::Null));
        };
        let (before, after) = open.document.split(at.position, self.encoding);
        // As the document has it, since that is what is replaced.
        let begun = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_owned();
        let keystroke = self.keystroke(uri, before, after, asked_for);
        let (service, pending, told) =
            (Arc::clone(&self.service), Arc::clone(&self.pending), Arc::clone(&self.told));
        let (sender, name) = (self.connection.sender.clone(), id.clone());
        let answer = async move {
            let result = match service.complete(keystroke).await {
                Ok(suggested) => {
                    told.store(false, Ordering::Relaxed);
                    shape(&begun, suggested)
                }
                Err(fault) => {
                    complain(&sender, &fault, &told);
                    Value::Null
                }
            };
            if lock(&pending).remove(&name).is_some() {
                // An error says that the editor is gone.
                drop(sender.send(Response::new_ok(name, result).into()));
            }
        };
        // Held until it is noted, so that it cannot be done before.
        let mut pending = lock(&self.pending);
        let task = self.runtime.spawn(answer).abort_handle();
        pending.insert(id.clone(), (uri.to_owned(), task));
    }

    fn keystroke(&self, uri: &str, before: &str, after: &str, asked_for: bool) -> Keystroke {
        let options = &self.options;
        let draft = Draft {
            before: before.to_owned(),
            after: after.to_owned(),
            session: format!("lsp {:016x} {:016x}", self.name, hashed(&uri)),
            choices: options.max_suggestions.unwrap_or(if asked_for { 3 } else { 1 }) as usize,
            budget: options.budget_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
            ..Draft::default()
        };
        Keystroke {
            writer: options.writer.clone(),
            role: options.role.map_or(foretype_markov::Role::Author, Into::into),
            // Who asks by hand wants to see whatever there is.
            min_confidence: if asked_for { Some(0.0) } else { options.min_confidence },
            ..draft.keystroke()
        }
    }

    fn execute(&mut self, params: &ExecuteCommandParams) -> Result<(), (ErrorCode, String)> {
        if params.command != ACCEPTED {
            return Err((
                ErrorCode::InvalidParams,
                format!("{} is no command of this server", params.command),
            ));
        }
        let [id, index, chars] = [0, 1, 2].map(|at| params.arguments.get(at).unwrap_or(&Value::Null));
        let (Some(id), Some(index), Some(chars)) = (id.as_str(), index.as_u64(), chars.as_u64()) else {
            return Err((
                ErrorCode::InvalidParams,
                format!("{ACCEPTED} takes an id, an index and a number of characters"),
            ));
        };
        let verdict = Verdict {
            id: id.to_owned(),
            outcome: Outcome::Accepted,
            index: index as usize,
            chars: u32::try_from(chars).unwrap_or(u32::MAX),
        };
        let service = Arc::clone(&self.service);
        self.later(async move { service.accepted(verdict).await });
        Ok(())
    }

    fn hear(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        // What cannot be read has nobody to be told of it.
        match method.as_str() {
            DidOpenTextDocument::METHOD => drop(read(params).map(|params| self.opened(params))),
            DidChangeTextDocument::METHOD => drop(read(params).map(|params| self.changed(params))),
            DidSaveTextDocument::METHOD => {
                drop(read(params).map(|params: DidSaveTextDocumentParams| {
                    self.saved(params.text_document.uri.as_str());
                }));
            }
            DidCloseTextDocument::METHOD => drop(read(params).map(|params| self.closed(&params))),
            Cancel::METHOD => drop(read(params).map(|params| self.cancelled(params))),
            _ => {}
        }
    }

    fn opened(&mut self, params: DidOpenTextDocumentParams) {
        let opened = params.text_document;
        if self.documents.len() < DOCUMENTS && opened.text.len() <= LONGEST {
            let learning = Learning::new(if self.options.learn_on_save { &opened.text } else { "" });
            let open = Open { document: Document::new(opened.text), learning, changed: false };
            self.documents.insert(opened.uri.as_str().to_owned(), open);
        }
    }

    fn changed(&mut self, params: DidChangeTextDocumentParams) {
        let uri = params.text_document.uri.as_str();
        let Some(open) = self.documents.get_mut(uri) else { return };
        for change in params.content_changes {
            let inserted = open.document.change(change, self.encoding);
            open.changed = true;
            if self.options.learn_on_save {
                open.learning.changed(&inserted);
            }
        }
        if open.document.text().len() > LONGEST {
            self.documents.remove(uri);
        }
    }

    fn saved(&mut self, uri: &str) {
        let Some(open) = self.documents.get_mut(uri) else { return };
        open.changed = false;
        self.learn(uri);
    }

    fn closed(&mut self, params: &DidCloseTextDocumentParams) {
        let uri = params.text_document.uri.as_str();
        self.end(|of| of == uri);
        self.leave(uri);
    }

    /// Nothing more is typed at a document.
    fn leave(&mut self, uri: &str) {
        if let Some(open) = self.documents.get_mut(uri).filter(|open| !open.changed) {
            open.learning.done();
            self.learn(uri);
        }
        self.documents.remove(uri);
    }

    /// Learns what is new in a document.
    fn learn(&mut self, uri: &str) {
        if !self.options.learn_on_save {
            return;
        }
        let (Some(open), Some(lessons)) = (self.documents.get_mut(uri), &mut self.lessons) else { return };
        if !lessons.have_room() {
            // What is new stays new until the next save.
            return tracing::warn!(
                "much waits to be learned; what is saved now does not, until it is saved again"
            );
        }
        let news = open.learning.news(open.document.text());
        news.into_iter().for_each(|text| lessons.put(text, &self.options));
    }

    fn cancelled(&self, params: lsp_types::CancelParams) {
        let id = match params.id {
            NumberOrString::Number(number) => number.into(),
            NumberOrString::String(name) => name.into(),
        };
        let found = lock(&self.pending).remove(&id);
        if let Some((_, task)) = found {
            task.abort();
            self.send(cancelled(id));
        }
    }

    /// Ends what is being answered about a document.
    fn end(&self, of: impl Fn(&str) -> bool) {
        let ended: Vec<_> = lock(&self.pending).extract_if(|_, (uri, _)| of(uri)).collect();
        for (id, (_, task)) in ended {
            task.abort();
            self.send(cancelled(id));
        }
    }

    /// Does something that nobody waits for.
    fn later(&mut self, work: impl Future<Output = Result<(), Fault>> + Send + 'static) {
        let (sender, told) = (self.connection.sender.clone(), Arc::clone(&self.told));
        let work = async move {
            if let Err(fault) = work.await {
                complain(&sender, &fault, &told);
            }
        };
        self.work.spawn_on(work, &self.runtime);
        while self.work.try_join_next().is_some() {}
    }

    fn send(&self, response: Response) {
        // An error says that the editor is gone, which ends the loop.
        drop(self.connection.sender.send(response.into()));
    }
}

fn cancelled(id: RequestId) -> Response {
    Response::new_err(
        id,
        ErrorCode::RequestCanceled as i32,
        "another question came, or this was taken back".into(),
    )
}

fn lock<T>(pending: &Mutex<T>) -> MutexGuard<'_, T> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, (ErrorCode, String)> {
    serde_json::from_value(params).map_err(|error| (ErrorCode::InvalidParams, error.to_string()))
}
