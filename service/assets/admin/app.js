// The operators' page: what is known, which page is looked at, and what changes either.

import * as api from "./api.js";
import { byId, element, say } from "./dom.js";
import * as format from "./format.js";
import { showHoldout } from "./holdout.js";
import { Live } from "./live.js";
import { log } from "./log.js";
import { showOverview } from "./overview.js";
import { RANGES } from "./words.js";
import { showWriter } from "./writer.js";
import { listAddress, showWriters } from "./writers.js";

const PAGES = ["overview", "writers", "writer"];

const known = { status: null, now: null, frame: null };
/** A request that failed although the stream goes on is tried again soon. */
const AGAIN_MS = 2000;
let range = "hour";
let refreshing = 0;
let isLive = false;
/** What the page that is gone to says first. */
let notice = "";

byId("range").append(...Object.entries(RANGES).map(rangeButton));
addEventListener("hashchange", () => route(true));

const live = new Live(api.LIVE);
live.addEventListener("state", ({ detail }) => connected(detail));
live.addEventListener("degraded", ({ detail }) => log(detail));
live.addEventListener("now", ({ detail }) => {
  known.now = detail;
  showHoldout(detail.holdout);
  show();
});
route(false);

/** Says so, and catches up. */
function connected({ connected, since, refusal }) {
  isLive = connected;
  const state = byId("connection");
  state.dataset.state = connected ? "live" : "lost";
  say(state, connected ? "Live" : refusal ? "Refused" : "Not connected");
  document.body.classList.toggle("stale", !connected);
  byId("lost").hidden = connected;
  if (!connected) {
    const last = known.now ? " What you see is what was known then." : "";
    const why = refusal ? `The service refuses this page: ${refusal}.` : `The service does not answer since ${format.timeOfDay(since)}.`;
    say(byId("lost"), `${why} It is asked again every few seconds.${last}`);
    return;
  }
  refresh();
}

/** Fetches the range again, and as often as it gets a new point. A new version of the service brings a new page. */
async function refresh() {
  clearTimeout(refreshing);
  const asked = range;
  const [status, frame] = await Promise.all([api.status(), api.history(asked)].map((answer) => answer.catch(() => null)));
  if (asked !== range) return;
  if (status && known.status && status.version !== known.status.version) location.reload();
  known.status = status ?? known.status;
  known.frame = frame ?? known.frame;
  show();
  clearTimeout(refreshing);
  if (!isLive || document.hidden) return;
  refreshing = setTimeout(refresh, status && frame ? RANGES[range].refresh : AGAIN_MS);
}

function show() {
  if (!known.status) return;
  showAbout(known.status);
  if (!byId("overview").hidden) showOverview(known);
}

function showAbout({ version, bundle, started_at: started, inference_threads: threads }) {
  const facts = [
    `Foretype ${version}`,
    `bundle ${bundle}`,
    format.counted(threads, "inference thread"),
    `up since ${format.dayAndTime(started)}`,
  ];
  say(byId("about"), facts.join(" · "));
}

/** `#/`, `#/day`, `#/month`, `#/writers`, `#/writers/TENANT`, `#/writers/TENANT/WRITER`. */
function route(moved) {
  const [page = "", tenant, id] = location.hash.replace(/^#\//, "").split("/").map(decoded);
  const told = notice;
  notice = "";
  if (page !== "writers") {
    open("overview", "Overview", moved);
    choose(page in RANGES ? page : "hour");
  } else if (id) {
    open("writer", id, moved);
    showWriter(tenant, id, (at, what) => {
      notice = what;
      location.hash = listAddress(at);
    });
  } else {
    open("writers", "Writers", moved);
    showWriters(tenant ?? null, told);
  }
}

/** A broken address leads nowhere rather than to an error. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function open(page, title, moved) {
  const change = byId(page).hidden;
  for (const name of PAGES) byId(name).hidden = name !== page;
  const links = { "to-overview": page === "overview", "to-writers": page !== "overview" };
  for (const [link, current] of Object.entries(links)) byId(link).setAttribute("aria-current", current ? "page" : "false");
  document.title = `${title} · Foretype`;
  if (moved && change) byId(`${page}-title`).focus();
}

function choose(chosen) {
  document.querySelector(`#range input[value="${chosen}"]`).checked = true;
  if (chosen === range && known.frame) return show();
  range = chosen;
  if (isLive) refresh();
}

function rangeButton([name, { label }]) {
  const input = element("input", { type: "radio", name: "range", value: name });
  input.addEventListener("change", () => {
    location.hash = name === "hour" ? "#/" : `#/${name}`;
  });
  return element("label", {}, input, element("span", {}, label));
}
