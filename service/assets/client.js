// The service's HTTP API as this page uses it.

import { endInBlocks, firstCharacters } from "./suggestion.js";

/** How many characters before the cursor the service reads. */
const TEXT_LIMIT = 4096;
/** How many a longer text loses at its beginning at a time. */
const BLOCK = 1024;
/** The service refuses bodies over 64 KiB; what follows the cursor only has to show what not to repeat. */
const AFTER_LIMIT = 512;

/** Says who asks: an API key, where the service wants one. Of this tab, and gone with it. */
export const credentials = {
  get key() {
    return sessionStorage.getItem("key") ?? "";
  },
  set key(key) {
    sessionStorage.setItem("key", key);
  },
};

/** An answer of the service that was not a success; `message` says what to do. */
export class ServiceError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Whether the same may succeed a little later: nobody answered, or there was no room or no time. */
export function isForNow(error) {
  return error instanceof ServiceError ? [408, 429, 502, 503, 504].includes(error.status) : error instanceof TypeError;
}

/** What fits this draft. @returns the body of the answer to `POST /v1/complete` */
export async function complete(draft, signal) {
  const response = await post("/v1/complete", bounded(draft), { signal });
  return response.json();
}

/** The draft with as much text as the service reads. */
export function bounded(draft) {
  return { ...draft, text: endInBlocks(draft.text, TEXT_LIMIT, BLOCK), after: firstCharacters(draft.after, AFTER_LIMIT) };
}

/** A message was sent: the service learns from it. @returns `{seq}` */
export async function learn(message) {
  return (await post("/v1/learn", message)).json();
}

/** What became of a suggestion. It outlives the page, so that a last keystroke is not lost. */
export async function feedback(outcome) {
  await post("/v1/feedback", outcome, { keepalive: true });
}

async function post(path, body, options = {}) {
  const { key } = credentials;
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify(body),
    ...options,
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new ServiceError(response.status, error?.code ?? "unknown", error?.message ?? `The service answered ${response.status}.`);
}
