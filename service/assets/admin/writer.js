// One writer: what is stored and what they may ask for. Never a word they wrote.

import { erase, exportOf, forget, writer } from "./api.js";
import { byId, element, say, terms } from "./dom.js";
import * as format from "./format.js";
import { weight } from "./tables.js";
import { PREDICTORS } from "./words.js";
import { listAddress } from "./writers.js";

const dialog = byId("erase-dialog");
const typed = byId("erase-typed");
let shown = { tenant: "", id: "" };
let afterErasing = () => {};

byId("erase").addEventListener("click", () => {
  typed.value = "";
  say(byId("erase-notice"), "");
  byId("erase-sure").disabled = true;
  dialog.showModal();
  typed.focus();
});
byId("erase-cancel").addEventListener("click", () => dialog.close());
typed.addEventListener("input", () => {
  byId("erase-sure").disabled = typed.value !== shown.id;
});
byId("erase-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { tenant, id } = shown;
  // Enter in the field submits as well.
  if (typed.value !== id) return;
  byId("erase-sure").disabled = true;
  try {
    await erase(tenant, id);
    dialog.close();
    afterErasing(tenant, `${id} is erased, from memory and from disk.`);
  } catch (error) {
    say(byId("erase-notice"), error.message);
    byId("erase-sure").disabled = false;
  }
});
byId("forget").addEventListener("submit", async (event) => {
  event.preventDefault();
  const word = byId("word").value.trim();
  if (!word) return;
  const { tenant, id } = shown;
  try {
    const answer = await forget(tenant, id, word);
    byId("word").value = "";
    const from = answer ? `It was in ${format.counted(answer.messages, "message")}.` : "";
    say(byId("forget-notice"), `Forgotten. ${from}`.trim());
    await load();
  } catch (error) {
    say(byId("forget-notice"), error.message);
  }
});

/** Shows a writer's page. @param {(tenant: string, notice: string) => void} erased is told when there is no writer any more */
export async function showWriter(tenant, id, erased) {
  shown = { tenant, id };
  afterErasing = erased;
  dialog.close();
  byId("writer-back").href = listAddress(tenant);
  say(byId("writer-title"), id);
  say(byId("erase-name"), id);
  say(byId("forget-notice"), "");
  byId("word").value = "";
  byId("export").href = exportOf(tenant, id);
  byId("writer-body").hidden = true;
  say(byId("writer-notice"), "");
  await load();
}

async function load() {
  const { tenant, id } = shown;
  try {
    const about = await writer(tenant, id);
    if (shown.tenant !== tenant || shown.id !== id) return;
    byId("facts").replaceChildren(...terms(facts(tenant, about)));
    byId("weights").replaceChildren(...Object.entries(about.weights).map(weightRow));
    byId("writer-body").hidden = false;
  } catch (error) {
    byId("writer-body").hidden = true;
    say(byId("writer-notice"), error.status === 404 ? "Nothing is stored about this writer." : error.message);
  }
}

function facts(tenant, about) {
  const { accepted, partial, rejected } = about.outcomes;
  return [
    ["tenant", tenant],
    ["team", about.team ?? "none"],
    ["messages", format.count(about.messages)],
    ["words", format.count(about.words)],
    ["characters", format.count(about.characters)],
    ["taken whole", format.count(accepted)],
    ["taken in part", format.count(partial)],
    ["dismissed", format.count(rejected)],
    ["snippets", format.count(about.snippets)],
    ["blocked words", format.count(about.blocked)],
    ["first seen", format.dayAndTime(about.first_at)],
    ["last seen", format.dayAndTime(about.last_at)],
    ["events on disk", format.count(about.stored_events)],
    ["bytes on disk", format.bytes(about.stored_bytes)],
    ["bytes in memory", format.bytes(about.memory_bytes)],
  ];
}

function weightRow([name, value]) {
  return element("li", {}, element("span", {}, name), element("span", { class: "note" }, PREDICTORS[name] ?? ""), weight(value));
}
