// The writers of a tenant, by name.

import { tenants, writers } from "./api.js";
import { byId, element, say } from "./dom.js";
import * as format from "./format.js";

const LIMIT = 100;
const PAUSE_MS = 150;

const choice = byId("tenant");
const prefix = byId("prefix");
let typing = 0;
/** Only the newest list asked for is shown, whichever arrives last. */
let newest = 0;

byId("writers-search").addEventListener("submit", (event) => event.preventDefault());
prefix.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => list(), PAUSE_MS);
});
choice.addEventListener("change", () => {
  location.hash = listAddress(choice.value);
});

/** Where a tenant's list, or a writer's page, is. */
export const listAddress = (tenant) => `#/writers/${encodeURIComponent(tenant)}`;
export const writerAddress = (tenant, id) => `${listAddress(tenant)}/${encodeURIComponent(id)}`;

/** Shows the list. @param {?string} tenant the one asked for @param {string} notice what just happened */
export async function showWriters(tenant, notice = "") {
  say(byId("writers-notice"), notice);
  try {
    const known = (await tenants()).tenants;
    const chosen = tenant ?? known[0] ?? "default";
    const names = known.includes(chosen) ? known : [...known, chosen];
    choice.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === chosen }, name)));
    await list(notice);
  } catch (error) {
    fail(error);
  }
}

async function list(notice = "") {
  const asked = (newest += 1);
  const begins = prefix.value.trim();
  try {
    const found = await writers(choice.value, begins, LIMIT);
    if (asked !== newest) return;
    byId("writers-list").replaceChildren(...found.writers.map((writer) => entry(choice.value, writer)));
    const count = found.more
      ? `The first ${LIMIT}; type more of the name to see others.`
      : `${format.counted(found.writers.length, "writer")}.`;
    const none = begins ? `No writer's name begins with “${begins}”.` : "Nobody has taught anything yet.";
    const told = found.writers.length > 0 ? count : none;
    say(byId("writers-notice"), notice ? `${notice} ${told}` : told);
  } catch (error) {
    if (asked === newest) fail(error);
  }
}

function entry(tenant, { writer, warm, last_seq: seq, team }) {
  const facts = [team && `team ${team}`, format.counted(seq ?? 0, "event"), warm ? "in memory" : "on disk"].filter(Boolean);
  return element(
    "li",
    {},
    element("a", { href: writerAddress(tenant, writer) }, writer),
    element("span", { class: "note" }, facts.join(" · ")),
  );
}

function fail(error) {
  byId("writers-list").replaceChildren();
  say(byId("writers-notice"), error.message);
}
