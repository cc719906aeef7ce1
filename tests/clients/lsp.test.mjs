// The language server, driven by the client library of VS Code.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createPlainServer, request } from "node:http";
import { createServer } from "node:https";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import protocol from "vscode-languageserver-protocol/node";

import { BINARY, QUICK, Service, temporary } from "./foretype.mjs";

const URI = "file:///home/ann/notes.md";
const { Invoked, Automatic } = protocol.InlineCompletionTriggerKind;
let service;
const editors = [];

before(async () => (service = await Service.start()));
after(() => {
  // Those of tests that failed.
  editors.forEach((editor) => editor.process.kill());
  return service.stop();
});

/** An editor with one document in it. */
class Editor {
  static async start({ command = ["--url", service.url], env = {}, options, encodings = ["utf-16"], inline = true } = {}) {
    const editor = new Editor();
    editor.process = spawn(BINARY, ["lsp", ...command], { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    const { stdin, stdout } = editor.process;
    const reader = new protocol.StreamMessageReader(stdout);
    editor.client = protocol.createProtocolConnection(reader, new protocol.StreamMessageWriter(stdin));
    editor.messages = [];
    editor.client.onNotification(protocol.ShowMessageNotification.type, ({ message }) => editor.messages.push(message));
    editor.client.listen();
    editors.push(editor);
    editor.process.once("exit", () => editor.client.dispose());
    const capabilities = {
      general: { positionEncodings: encodings },
      textDocument: inline ? { inlineCompletion: {} } : {},
    };
    const params = { processId: process.pid, rootUri: null, capabilities, initializationOptions: options };
    try {
      editor.offered = (await editor.client.sendRequest(protocol.InitializeRequest.type, params)).capabilities;
    } catch (error) {
      stdin.end();
      await editor.gone();
      throw error;
    }
    editor.client.sendNotification(protocol.InitializedNotification.type, {});
    return editor;
  }

  open(text) {
    const textDocument = { uri: URI, languageId: "markdown", version: 1, text };
    this.version = 1;
    this.client.sendNotification(protocol.DidOpenTextDocumentNotification.type, { textDocument });
  }

  change(...contentChanges) {
    const textDocument = { uri: URI, version: ++this.version };
    this.client.sendNotification(protocol.DidChangeTextDocumentNotification.type, { textDocument, contentChanges });
  }

  /** Types text at a position of its line. */
  type(line, character, text) {
    const at = { line, character };
    this.change({ range: { start: at, end: at }, text });
  }

  save() {
    this.client.sendNotification(protocol.DidSaveTextDocumentNotification.type, { textDocument: { uri: URI } });
  }

  close() {
    this.client.sendNotification(protocol.DidCloseTextDocumentNotification.type, { textDocument: { uri: URI } });
  }

  inline(line, character, triggerKind = Automatic, token = undefined) {
    const params = { textDocument: { uri: URI }, position: { line, character }, context: { triggerKind } };
    return this.client.sendRequest(protocol.InlineCompletionRequest.type, params, token);
  }

  list(line, character) {
    const params = { textDocument: { uri: URI }, position: { line, character } };
    return this.client.sendRequest(protocol.CompletionRequest.type, params);
  }

  accept({ command, arguments: given }) {
    return this.client.sendRequest(protocol.ExecuteCommandRequest.type, { command, arguments: given });
  }

  async gone() {
    if (this.process.exitCode === null) await new Promise((resolve) => this.process.once("exit", resolve));
    return this.process.exitCode;
  }

  async stop() {
    await this.client.sendRequest(protocol.ShutdownRequest.type);
    this.client.sendNotification(protocol.ExitNotification.type);
    assert.equal(await this.gone(), 0);
  }
}

test("a text goes on behind the cursor, and what is taken is heard", async () => {
  const editor = await Editor.start();
  assert.equal(editor.offered.positionEncoding, "utf-16");
  assert(editor.offered.inlineCompletionProvider && !editor.offered.completionProvider);
  editor.open("# Calls\n\nThanks for calling, I can h");
  editor.type(2, 27, "e");
  const { items } = await editor.inline(2, 28);
  assert.equal(items.length, 1);
  assert.match(items[0].insertText, /^lp /);
  assert.deepEqual(items[0].range, { start: { line: 2, character: 28 }, end: { line: 2, character: 28 } });
  const accepted = () => service.metric('foretype_outcomes_total{outcome="accepted"}');
  const before = await accepted();
  assert.equal(await editor.accept(items[0].command), null);
  while ((await accepted()) === before) await setTimeout(20);
  assert.equal((await editor.inline(2, 28, Invoked)).items.length, 3, "asked by hand, there is more");
  await editor.stop();
});

test("positions count UTF-16, or bytes if that is agreed on", async () => {
  const line = "𝒳é: Thanks for calling, I can he";
  for (const [encodings, length] of [[["utf-16"], line.length], [["utf-8", "utf-16"], Buffer.byteLength(line)]]) {
    const editor = await Editor.start({ encodings });
    assert.equal(editor.offered.positionEncoding, encodings[0]);
    editor.open(`${line.slice(0, -1)}\nand more`);
    editor.type(0, length - 1, "e");
    assert.match((await editor.inline(0, length)).items[0].insertText, /^lp /, encodings[0]);
    await editor.stop();
  }
});

test("what follows the cursor is not said again", async () => {
  const editor = await Editor.start();
  const line = "Thanks for calling, I can ";
  editor.open(line);
  const first = async () => (await editor.inline(0, line.length, Invoked)).items[0].insertText.split(" ")[0];
  const said = await first();
  editor.change({ text: line + said });
  assert.notEqual(await first(), said);
  await editor.stop();
});

test("a client that knows only lists gets one", async () => {
  const editor = await Editor.start({ inline: false });
  assert(editor.offered.completionProvider);
  editor.open("Thanks for calling, I can he");
  const { isIncomplete, items } = await editor.list(0, 28);
  assert(isIncomplete);
  const { range, newText } = items[0].textEdit;
  assert.deepEqual([range.start, range.end], [{ line: 0, character: 26 }, { line: 0, character: 28 }]);
  assert.match(newText, /^help /);
  assert.equal(items[0].filterText, newText);
  assert.equal(await editor.accept(items[0].command), null);
  await editor.stop();
});

test("the newest question wins, and one may be taken back", async () => {
  const editor = await Editor.start();
  editor.open("We will review the num");
  const questions = [22, 22, 22].map((character) => editor.inline(0, character));
  const outcomes = await Promise.allSettled(questions);
  assert.match(outcomes[2].value.items[0].insertText, /^ber/);
  for (const { reason } of outcomes.filter(({ status }) => status === "rejected")) {
    assert.equal(reason.code, protocol.LSPErrorCodes.RequestCancelled);
  }
  const source = new protocol.CancellationTokenSource();
  const question = editor.inline(0, 22, Automatic, source.token);
  source.cancel();
  const [taken] = await Promise.allSettled([question]);
  assert(taken.status === "fulfilled" || taken.reason.code === protocol.LSPErrorCodes.RequestCancelled);
  assert.match((await editor.inline(0, 22)).items[0].insertText, /^ber/, "it goes on");
  await editor.stop();
});

test("what is written is learned when it is saved, if that is wanted", async () => {
  const writer = "lsp-ann";
  const messages = async () => {
    const reply = await fetch(`${service.url}/v1/writers/${writer}`);
    return reply.ok ? (await reply.json()).messages : 0;
  };
  const write = async (options) => {
    const editor = await Editor.start({ options });
    editor.open("Not by her: the quxotron.\n\n");
    editor.type(2, 0, "The zorbex is calibrated. We cleaned the zorbex. And n");
    editor.save();
    editor.type(2, 54, "ow the zorb");
    editor.save();
    return editor;
  };
  await (await write({ writer })).stop();
  assert.equal(await messages(), 0, "not asked for");
  const editor = await write({ writer, learnOnSave: true });
  while ((await messages()) === 0) await setTimeout(20);
  const line = "The zorbex is calibrated. We cleaned the zorbex. And now the zorb";
  const { items } = await editor.inline(2, line.length, Invoked);
  assert(items.some((item) => item.insertText.startsWith("ex")), JSON.stringify(items));
  await editor.stop();
  assert.equal(await messages(), 2, "the last sentence, when the editor was closed");
  const kept = await (await fetch(`${service.url}/v1/writers/${writer}/export`)).text();
  assert.match(kept, /zorbex is calibrated\. We cleaned/);
  assert.doesNotMatch(kept, /quxotron/);
});

test("without a service the writer is told once", async () => {
  const editor = await Editor.start({ command: ["--url", "http://127.0.0.1:9"] });
  editor.open("I can he");
  for (let times = 0; times < 3; times++) assert.equal(await editor.inline(0, 8), null);
  assert.equal(editor.messages.length, 1);
  assert.match(editor.messages[0], /foretype serve/);
  await editor.stop();
});

test("wrong options are refused by name", async () => {
  await assert.rejects(Editor.start({ options: { learnOnSafe: true } }), /learnOnSafe/);
  await assert.rejects(Editor.start({ options: { learnOnSave: true } }), /writer/);
});

test("the engine in the server's own process keeps what it learned", async () => {
  const data = temporary();
  const command = ["--embedded", ...QUICK, "--data", data.folder];
  const options = { writer: "ann", learnOnSave: true, budgetMs: 500 };
  let editor = await Editor.start({ command, options });
  editor.open("");
  editor.type(0, 0, "The zorbex is calibrated.");
  editor.type(0, 25, "\n");
  editor.type(1, 0, "We cleaned the zorbex.");
  editor.type(1, 22, "\n");
  editor.save();
  editor.close();
  await editor.stop();
  editor = await Editor.start({ command, options });
  editor.open("Look at the zorb");
  const { items } = await editor.inline(0, 16, Invoked);
  assert.match(items[0].insertText, /^ex/);
  assert.equal(await editor.accept(items[0].command), null);
  await editor.stop();
  data.remove();
});

test("what a service that is away cannot learn waits for it", async () => {
  const asked = [];
  const restarting = createPlainServer(async (request, answer) => {
    let body = "";
    for await (const part of request) body += part;
    asked.push(JSON.parse(body));
    // As a proxy says it, in a page of its own.
    if (asked.length === 1) answer.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad Gateway</h1>");
    else answer.writeHead(200, { "content-type": "application/json" }).end('{"seq":1}');
  });
  await new Promise((resolve) => restarting.listen(0, "127.0.0.1", resolve));
  restarting.unref();
  const command = ["--url", `http://127.0.0.1:${restarting.address().port}`];
  const editor = await Editor.start({ command, options: { writer: "ann", learnOnSave: true } });
  editor.open("");
  editor.type(0, 0, "The zorbex is calibrated.");
  editor.save();
  editor.close();
  await editor.stop();
  assert.deepEqual(asked.map(({ text }) => text.trim()), Array(2).fill("The zorbex is calibrated."));
  assert.ok(asked[0].idempotency_key && asked[0].idempotency_key === asked[1].idempotency_key);
  assert.equal(editor.messages.length, 1);
  restarting.close();
});

test("a service behind a proxy that encrypts", async () => {
  const file = (name) => new URL(`localhost.${name}.pem`, import.meta.url);
  const proxy = createServer({ key: readFileSync(file("key")), cert: readFileSync(file("cert")) }, (asked, answer) => {
    const { method, headers, url } = asked;
    const onward = request(service.url + url, { method, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    asked.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, resolve));
  const command = ["--url", `https://localhost:${proxy.address().port}/`];
  const editor = await Editor.start({ command, env: { SSL_CERT_FILE: file("cert").pathname } });
  editor.open("Thanks for calling, I can he");
  assert.match((await editor.inline(0, 28)).items[0].insertText, /^lp /);
  await editor.stop();
  // Whom this machine does not trust is told nothing.
  const wary = await Editor.start({ command });
  wary.open("I can he");
  assert.equal(await wary.inline(0, 8), null);
  assert.match(wary.messages[0], /certificate/);
  await wary.stop();
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});

test("a key says who is typing", async () => {
  const keyed = await Service.start();
  const key = await keyed.addKey("--writer", "ann");
  const options = { learnOnSave: true };
  const editor = await Editor.start({ command: ["--url", keyed.url, "--key", key], options });
  editor.open("");
  editor.type(0, 0, "Thanks for calling, I can he");
  assert.match((await editor.inline(0, 28)).items[0].insertText, /^lp /);
  editor.save();
  await editor.stop();
  await keyed.stop();
  assert.deepEqual(editor.messages, []);
  const nobody = await Service.start();
  await nobody.addKey();
  const stranger = await Editor.start({ command: ["--url", nobody.url] });
  stranger.open("I can he");
  assert.equal(await stranger.inline(0, 8), null);
  assert.match(stranger.messages[0], /API key/);
  await stranger.stop();
  await nobody.stop();
});

test("an editor that leaves without a farewell is told by the exit status", async () => {
  const editor = await Editor.start();
  editor.client.sendNotification(protocol.ExitNotification.type);
  assert.equal(await editor.gone(), 1);
});
