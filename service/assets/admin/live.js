// The live stream: what happens now, and whether anybody is there to say so.

import { refused } from "./api.js";

/** A service that says nothing for this long is gone, even if the connection looks open (a laptop that slept). */
const SILENT_MS = 8000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 10_000;

/**
 * Events: `now` (detail: the body of `GET /now`), `degraded` (detail: one answer), `state` (detail: `{connected, since, refusal}`; the
 * refusal is what a service says that is there and takes no more).
 * An EventSource of its own accord gives up for good when a proxy answers in the service's place; this one never does.
 */
export class Live extends EventTarget {
  #url;
  #source = null;
  #wait = FIRST_WAIT_MS;
  #silence = 0;
  #retry = 0;
  #state = null;
  #seen = new Set();

  constructor(url) {
    super();
    this.#url = url;
    document.addEventListener("visibilitychange", () => this.#attend());
    this.#attend();
  }

  /**
   * Nobody looks at a hidden page, yet it would hold one of the six connections that a browser has for one server; left for another
   * page, it would do so for as long as the browser keeps it to go back to.
   */
  #attend() {
    this.#source?.close();
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    if (document.hidden) return;
    // What was known may be long past.
    this.#state = null;
    this.#connect();
  }

  #connect() {
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#expect();
    source.addEventListener("now", ({ data }) => {
      this.#expect();
      this.#wait = FIRST_WAIT_MS;
      this.#tell("live");
      this.#send("now", JSON.parse(data));
    });
    source.addEventListener("degraded", ({ data, lastEventId }) => {
      this.#expect();
      const detail = JSON.parse(data);
      // The last hundred come again with each connection.
      const id = `${lastEventId} ${detail.at}`;
      if (this.#seen.has(id)) return;
      this.#seen.add(id);
      if (this.#seen.size > 400) this.#seen.delete(this.#seen.values().next().value);
      this.#send("degraded", detail);
    });
    source.addEventListener("error", () => this.#lose());
  }

  #expect() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lose(), SILENT_MS);
  }

  async #lose() {
    const lost = this.#source;
    lost.close();
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    // An EventSource does not say why it was refused.
    const refusal = await refused(this.#url);
    if (lost !== this.#source || document.hidden) return;
    this.#tell(refusal ?? "lost", refusal);
    this.#retry = setTimeout(() => this.#connect(), this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT_MS);
  }

  #tell(state, refusal = null) {
    if (state === this.#state) return;
    this.#state = state;
    this.#send("state", { connected: state === "live", since: Date.now(), refusal });
  }

  #send(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
