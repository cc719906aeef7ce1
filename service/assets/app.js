// The page: wires the text box, the conversation, the writer's name and the panel to the service.

import { credentials, feedback, isForNow, learn } from "./client.js";
import { Conversation } from "./conversation.js";
import { CHOICE_KEY, GhostText, WORD_KEY } from "./ghost-text.js";
import { showAnswer, showCounts } from "./panel.js";
import { Drafts } from "./stream.js";
import { countCharacters } from "./suggestion.js";

const STARTERS = [
  "Thanks for calling, I can he",
  "I'm sorry to hear that. Let me ch",
  "The Committee noted that infl",
  "Fix a race condition in the",
];
/** How long the writer pauses before a screen reader speaks the suggestion. */
const ANNOUNCE_AFTER_MS = 800;

/** Until what could not be learned is tried again. */
const AGAIN_MS = 2_000;

const byId = (id) => document.getElementById(id);
const box = byId("draft");
const conversation = new Conversation(byId("conversation"));
/** Messages that were sent and are not learned yet, the oldest first. */
const unlearned = [];
const counts = { saved: 0, sent: 0, taken: 0 };
let session = newSession();
let announcing = 0;
let failing = false;

const drafts = new Drafts(() => {
  const options = { session, context: conversation.context(), role: role(), max_suggestions: 3, corrections: true };
  if (writer()) options.writer = writer();
  return options;
});
const ghost = new GhostText(box, (draft, signal, early) => drafts.complete({ ...draft, debug: byId("details").open }, signal, early));

ghost.addEventListener("answer", ({ detail }) => {
  if (failing) notify("");
  showAnswer(detail);
});
ghost.addEventListener("show", ({ detail }) => {
  showOthers(detail.others);
  announce(detail.text && wholeWords(detail.text, detail.replace));
  refreshCounts();
});
ghost.addEventListener("take", ({ detail }) => {
  counts.saved += detail.chars - detail.keys;
  counts.taken += 1;
});
// A suggestion older than ten minutes is no longer known; nothing is lost to the writer.
ghost.addEventListener("outcome", ({ detail }) => feedback(detail).catch((error) => error.status === 404 || fail(error)));
ghost.addEventListener("failure", ({ detail }) => fail(detail));

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
box.addEventListener("input", () => notify(""));
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  send();
});
byId("customer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("customer").value.trim();
  if (!text) return;
  conversation.add("customer", text);
  byId("customer").value = "";
  byId("restart").hidden = false;
  ghost.restart();
  box.focus();
});
byId("restart").addEventListener("click", () => {
  conversation.clear();
  session = newSession();
  byId("restart").hidden = true;
  ghost.restart();
  box.focus();
});
byId("role").addEventListener("change", () => ghost.restart());
byId("details").addEventListener("toggle", () => ghost.restart());
byId("writer").addEventListener("input", () => {
  const valid = writer() !== null;
  byId("writer").setAttribute("aria-invalid", String(!valid));
  byId("writer-note").textContent = valid ? "" : "Letters, digits and . _ @ : - only";
  if (valid) localStorage.setItem("writer", writer());
});
byId("key").addEventListener("change", () => {
  credentials.key = byId("key").value.trim();
  notify("");
  ghost.restart();
});
byId("writer").addEventListener("change", () => {
  session = newSession();
  ghost.restart();
});

byId("writer").value = localStorage.getItem("writer") ?? "";
byId("key").value = credentials.key;
byId("key-field").hidden = !credentials.key;
byId("word-key").textContent = WORD_KEY;
byId("starters").append(...STARTERS.map(starterButton));
box.focus();
ghost.restart();

/** Puts the message into the conversation and teaches the service, if the writer has a name. */
async function send() {
  const text = box.value.trim();
  if (!text) return;
  const message = { writer: writer() || undefined, text, role: role(), context: conversation.context(), idempotency_key: newSession() };
  counts.sent += countCharacters(box.value);
  conversation.add(role(), text);
  byId("restart").hidden = false;
  ghost.clear();
  box.focus();
  // A key may be bound to its writer.
  if (!message.writer && !credentials.key) return notify("Sent. Nothing was learned: give the writer a name for that.");
  unlearned.push(message);
  if (unlearned.length === 1) await teach();
}

/** Teaches what was sent, in its order. What cannot be learned now is tried again for as long as the page is open. */
async function teach() {
  while (unlearned.length > 0) {
    const [message] = unlearned;
    const failure = await learn(message).then(() => null, (error) => error);
    if (failure && isForNow(failure)) {
      const waiting = unlearned.length === 1 ? "Your message is" : `${unlearned.length} messages are`;
      notify(`${waiting} not learned yet: the service cannot be reached, or has no room. It is tried again.`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      continue;
    }
    if (failure) fail(failure);
    else notify(`Sent, and learned for ${message.writer ?? "the key's writer"}.`);
    // Who has begun to type is not disturbed.
    if (!failure && box.value === "") ghost.restart();
    unlearned.shift();
  }
}

/** The writer's id; "" when none is given, null when it is not one the service takes. */
function writer() {
  const name = byId("writer").value.trim();
  return /^(?!\.{1,2}$)[A-Za-z0-9._@:-]{0,128}$/.test(name) ? name : null;
}

function role() {
  return byId("role").value;
}

/** `crypto.randomUUID` exists on secure origins only, and a page on a plain LAN address is not one. */
function newSession() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A lone suggestion is the grey text itself; only where there are no keys to press does it need a button too. */
function showOthers(others) {
  const worthListing = others.length > 1 || matchMedia("(pointer: coarse)").matches;
  byId("others").replaceChildren(...(worthListing ? others.map(otherButton) : []));
}

function otherButton({ rest, replace, index, shown }) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-current", String(shown));
  const key = document.createElement("kbd");
  key.textContent = `${CHOICE_KEY} + ${index + 1}`;
  button.append(wholeWords(rest, replace), key);
  // Pressing must not move the focus, or the cursor's place is lost before the click arrives.
  button.addEventListener("mousedown", (event) => event.preventDefault());
  button.addEventListener("click", () => ghost.accept(index));
  return button;
}

/** A suggestion as one reads it away from the box: with the start of the word it finishes, or for the one it replaces. */
function wholeWords(rest, replace) {
  if (replace > 0) return `→ ${rest.trim()}`;
  const [begun] = /\S*$/u.exec(box.value.slice(0, box.selectionStart));
  return (begun + rest).slice(/^\s/u.test(rest) ? begun.length : 0).trim();
}

function starterButton(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = `${text}…`;
  button.addEventListener("click", () => {
    box.value = text;
    box.focus();
    box.setSelectionRange(text.length, text.length);
    ghost.restart();
  });
  return button;
}

function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    byId("announcement").textContent = text ? `Suggestion: ${text}` : "";
  }, ANNOUNCE_AFTER_MS);
}

function refreshCounts() {
  showCounts({ ...counts, written: counts.sent + countCharacters(box.value) });
}

function notify(text) {
  failing = false;
  byId("notice").textContent = text;
}

function fail(error) {
  const wantsKey = error.code === "unauthorized";
  if (wantsKey) byId("key-field").hidden = false;
  if (error instanceof TypeError) notify("The service does not answer. It is asked again with the next key.");
  else if (wantsKey && !credentials.key) notify("This service asks for an API key: give yours above, beside Key.");
  else notify(error.message);
  failing = true;
}
