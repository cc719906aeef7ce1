// The operators' API as this page uses it.

const ROOT = "/admin/api";

/** An answer that was not a success; `message` says what to do. */
export class ServiceError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const LIVE = `${ROOT}/live`;
export const status = () => json("GET", "/status");
export const history = (range) => json("GET", `/history?range=${range}`);
export const setHoldout = (share) => json("PUT", "/holdout", { share });
export const tenants = () => json("GET", "/tenants");

/** Writers of a tenant by id, those whose id starts with `prefix`. @returns `{writers, more}` */
export function writers(tenant, prefix, limit) {
  const query = new URLSearchParams({ prefix, limit });
  return json("GET", `/tenants/${encodeURIComponent(tenant)}/writers?${query}`);
}

export const writer = (tenant, id) => json("GET", pathOf(tenant, id));
export const erase = (tenant, id) => json("DELETE", pathOf(tenant, id));
export const forget = (tenant, id, word) => json("POST", `${pathOf(tenant, id)}/forget`, { word });
export const exportOf = (tenant, id) => `${ROOT}${pathOf(tenant, id)}/export`;

function pathOf(tenant, id) {
  return `/tenants/${encodeURIComponent(tenant)}/writers/${encodeURIComponent(id)}`;
}

/** A reason that takes longer is no reason. */
const REASON_MS = 2000;

/** Why a stream is refused by a service that is there, in its words; null: it is not refused, or nobody is there. */
export async function refused(url) {
  const asked = new AbortController();
  const patience = setTimeout(() => asked.abort(), REASON_MS);
  try {
    const response = await fetch(url, { signal: asked.signal });
    if (response.ok) return null;
    const { error } = await response.json();
    return error?.message ?? null;
  } catch {
    return null;
  } finally {
    clearTimeout(patience);
    // Of a stream no more is wanted than that it may be had.
    asked.abort();
  }
}

/** What is only read is there soon or not at all; an erasure takes as long as it takes. */
const PATIENCE_MS = 15_000;

/** @returns the body of the answer; null if it has none */
async function json(method, path, body) {
  const options = body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const signal = method === "GET" ? AbortSignal.timeout(PATIENCE_MS) : null;
  const response = await fetch(ROOT + path, { method, signal, ...options }).catch(() => {
    throw new ServiceError(0, "unreachable", "The service does not answer.");
  });
  if (response.ok) return response.status === 204 ? null : response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new ServiceError(response.status, error?.code ?? "unknown", error?.message ?? `The service answered ${response.status}.`);
}
