// The service's WebSocket, `/v1/stream`, for one text box; plain requests where there is none.
//
// Only the newest draft is waited for: one that another overtakes is given up, as the service gives it up.

import { ServiceError, bounded, complete, credentials } from "./client.js";

/** Milliseconds without an answer, far beyond any budget, after which a connection is taken for dead. */
const PATIENCE = 2_000;

/** Milliseconds until another attempt to connect, doubled each time up to the second. */
const RETRY = [1_000, 30_000];

/** Asks about drafts over a WebSocket that is opened, and opened again, as needed. */
export class Drafts {
  #options;
  #socket = null;
  /** What was said in `open` last, as JSON. */
  #opened = null;
  /** Why that was refused, if it was; drafts are refused then because there was no `open`. */
  #refused = null;
  #seq = 0;
  /** The draft that is waited for: `{seq, draft, signal, early, resolve, reject}`. */
  #waiting = null;
  #retry = RETRY[0];
  #notBefore = 0;

  /** @param {() => object} options what `open` says now: the writer, the conversation, the session, … */
  constructor(options) {
    this.#options = options;
    this.#connect();
  }

  /** Tells the service what the next draft will be about, so that it has read that before the first key. */
  prepare() {
    if (this.#isOpen()) this.#open();
  }

  /**
   * @param {{text: string, after: string, debug?: boolean}} draft
   * @param {AbortSignal} signal
   * @param {(answer: object) => void} early hears what the service says first, if it has more to say
   * @returns the body of an answer to `POST /v1/complete`
   */
  complete(draft, signal, early) {
    this.#give(this.#waiting, new DOMException("a newer draft came", "AbortError"));
    if (!this.#isOpen()) {
      this.#connect();
      return this.#plainly(draft, signal);
    }
    return new Promise((resolve, reject) => {
      this.#seq += 1;
      const waiting = { seq: this.#seq, draft, signal, early, resolve, reject };
      this.#waiting = waiting;
      const socket = this.#socket;
      setTimeout(() => waiting === this.#waiting && this.#closed(socket), PATIENCE);
      signal.addEventListener("abort", () => this.#give(waiting, signal.reason), { once: true });
      this.#open();
      this.#send({ type: "edit", seq: waiting.seq, ...bounded(draft) });
    });
  }

  #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    if (this.#socket || Date.now() < this.#notBefore) return;
    const url = new URL("/v1/stream", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#retry = RETRY[0];
      this.prepare();
    });
    socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(data)));
    socket.addEventListener("close", () => this.#closed(socket));
  }

  /** Goes on without a connection that ended, or that does not answer. */
  #closed(socket) {
    if (socket !== this.#socket) return;
    socket.close();
    this.#socket = null;
    this.#opened = null;
    this.#notBefore = Date.now() + this.#retry;
    this.#retry = Math.min(2 * this.#retry, RETRY[1]);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting) this.#plainly(waiting.draft, waiting.signal).then(waiting.resolve, waiting.reject);
  }

  #open() {
    const { key } = credentials;
    const options = JSON.stringify({ type: "open", ...(key && { key }), ...this.#options() });
    if (options === this.#opened) return;
    this.#opened = options;
    this.#refused = null;
    this.#socket.send(options);
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #hear({ type, seq, final, code, message, ...answer }) {
    if (type === "error" && seq === undefined) {
      console.warn(`${code}: ${message}`);
      if (code === "unauthorized") this.#refused = message;
    }
    const waiting = this.#waiting;
    if (seq === undefined || seq !== waiting?.seq) return;
    if (type === "error") this.#give(waiting, new ServiceError(0, code, (code === "unauthorized" && this.#refused) || message));
    else if (!final) waiting.early(answer);
    else {
      this.#waiting = null;
      waiting.resolve(answer);
    }
  }

  #give(waiting, reason) {
    if (waiting === null || waiting !== this.#waiting) return;
    this.#waiting = null;
    waiting.reject(reason);
  }

  #plainly(draft, signal) {
    return complete({ ...this.#options(), ...draft }, signal);
  }
}
