//! `foretype lsp`: a language server for prose, on standard input and output, of LSP 3.18's `textDocument/inlineCompletion`.
//! To clients that do not know it, the same is `textDocument/completion`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use lsp_server::{Connection, ErrorCode, RequestId, Response};
use lsp_types::{
    CompletionOptions, ExecuteCommandOptions, InitializeParams, InitializeResult, OneOf, SaveOptions,
    ServerCapabilities, ServerInfo, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions,
};
use serde_json::json;

use self::answer::ACCEPTED;
use self::document::Encoding;
use self::options::Options;
use self::server::Server;
use self::service::{Remote, Service};
use crate::cli::Lsp;
use crate::serve;
use crate::writer::Settings;

mod answer;
mod document;
mod learning;
mod lessons;
mod options;
mod server;
mod service;

/// The budget of the engine in this process.
const BUDGET: Duration = Duration::from_millis(20);

/// Serves one editor until it is done.
pub fn run(lsp: &Lsp) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (connection, threads) = Connection::stdio();
    let (id, params, options) = greeted(&connection, lsp.key.is_some())?;
    let service = Arc::new(runtime.block_on(open(lsp))?);
    let general = params.capabilities.general.as_ref();
    let encoding = Encoding::of(general.and_then(|general| general.position_encodings.as_deref()));
    connection.initialize_finish(id, json!(offer(&params, encoding)))?;
    let server = Server::new(&connection, runtime.handle().clone(), Arc::clone(&service), options, encoding);
    let told = server.run();
    if let Service::Embedded(app) = &*service {
        runtime.block_on(async {
            app.writers.save_all().await;
            app.writers.store().close().await
        })?;
    }
    drop(connection);
    // What the library says of a message that is none quotes it, and what people type is never logged.
    threads.join().map_err(|error| {
        anyhow!("the editor is gone, or sent what is no message of LSP ({})", error.kind())
    })?;
    // As LSP wants it: an error for `exit` without `shutdown`.
    if told { Ok(()) } else { Err(anyhow!("the editor is gone without `shutdown`")) }
}

/// What the editor says first. One whose options are wrong is told so, and may begin again.
fn greeted(connection: &Connection, keyed: bool) -> Result<(RequestId, InitializeParams, Options)> {
    loop {
        let (id, params) = connection.initialize_start().context("no editor is there: one starts this")?;
        let params: InitializeParams = serde_json::from_value(params).context("the editor's `initialize`")?;
        match Options::read(params.initialization_options.clone(), keyed) {
            Ok(options) => return Ok((id, params, options)),
            Err(error) => {
                let message = format!("initializationOptions: {error}");
                tracing::error!(message);
                let refusal = Response::new_err(id, ErrorCode::InvalidParams as i32, message);
                connection.sender.send(refusal.into())?;
            }
        }
    }
}

async fn open(lsp: &Lsp) -> Result<Service> {
    if !lsp.embedded {
        return Remote::new(&lsp.url, lsp.key.as_deref()).map(Service::Remote).map_err(anyhow::Error::msg);
    }
    let app = serve::open_app(&lsp.models, Settings::default(), BUDGET)?;
    app.engine.warm_up().await;
    Ok(Service::Embedded(app))
}

/// What this server does.
fn offer(params: &InitializeParams, encoding: Encoding) -> InitializeResult {
    let of_documents = params.capabilities.text_document.as_ref();
    let inline = of_documents.is_some_and(|client| client.inline_completion.is_some());
    let sync = TextDocumentSyncOptions {
        open_close: Some(true),
        change: Some(TextDocumentSyncKind::INCREMENTAL),
        save: Some(SaveOptions { include_text: Some(false) }.into()),
        ..TextDocumentSyncOptions::default()
    };
    let capabilities = ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(sync)),
        inline_completion_provider: Some(OneOf::Left(true)),
        completion_provider: (!inline).then(|| CompletionOptions {
            // Every key, also where the client would ask at marks only.
            trigger_characters: Some((' '..='~').filter(|c| !c.is_ascii_digit()).map(String::from).collect()),
            ..CompletionOptions::default()
        }),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![ACCEPTED.to_owned()],
            ..ExecuteCommandOptions::default()
        }),
        ..ServerCapabilities::default()
    };
    let server_info =
        ServerInfo { name: "foretype".to_owned(), version: Some(env!("CARGO_PKG_VERSION").to_owned()) };
    InitializeResult { capabilities, server_info: Some(server_info), offset_encoding: None }
}
