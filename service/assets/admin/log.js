// The live log of answers that were less than they could be. No text, no writer: when, why, who was missing.

import { byId, element, say } from "./dom.js";
import * as format from "./format.js";
import { DEGRADED, STATUSES } from "./words.js";

const KEPT = 100;
/** A burst is read out as one sentence. */
const SPOKEN_EVERY_MS = 5000;
const HEADS = ["Time", "Answer", "Took", "Budget", "Predictors", "Tenant"];

const table = byId("log");
const pause = byId("log-pause");
const body = element("tbody");
table.append(element("thead", {}, element("tr", {}, ...HEADS.map((head) => element("th", { scope: "col" }, head)))), body);
let waiting = [];
let isDrawing = false;
let unspoken = 0;
let newest = 0;
let speaking = 0;

pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  say(pause, paused ? "Go on" : "Pause");
  if (!paused) draw();
});

/** Adds one degraded answer. */
export function log(answer) {
  waiting = [...waiting, answer].slice(-KEPT);
  unspoken += 1;
  newest = Math.max(newest, answer.at);
  if (!speaking) speaking = setTimeout(speak, SPOKEN_EVERY_MS);
  if (isDrawing || pause.getAttribute("aria-pressed") === "true") return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}

function draw() {
  if (waiting.length === 0) return;
  const isFirst = body.childElementCount === 0;
  byId("log-scroll").hidden = false;
  body.prepend(...waiting.toReversed().map(row));
  while (body.childElementCount > KEPT) body.lastChild.remove();
  waiting = [];
  if (isFirst) speak();
}

function speak() {
  speaking = 0;
  if (unspoken === 0) return;
  const known = body.childElementCount + waiting.length;
  const answers = known < KEPT ? format.counted(known, "degraded answer") : `The last ${KEPT} degraded answers`;
  say(byId("log-latest"), `${answers}, the latest at ${format.timeOfDay(newest)}.`);
  unspoken = 0;
}

function row({ at, elapsed_ms: elapsed, budget_ms: budget, reason, predictors = {}, tenant }) {
  const missing = Object.entries(predictors).filter(([, status]) => status === "late" || status === "skipped");
  const told = missing.map(([name, status]) => `${name} ${STATUSES[status]}`).join(", ");
  const cells = [
    DEGRADED[reason] ?? reason,
    format.milliseconds(elapsed),
    format.milliseconds(budget),
    told || "all in time",
    tenant ?? format.UNKNOWN,
  ];
  const time = element("th", { scope: "row", "data-label": HEADS[0] }, format.timeOfDay(at));
  return element(
    "tr",
    { "data-reason": reason },
    time,
    ...cells.map((text, index) => element("td", { "data-label": HEADS[index + 1] }, text)),
  );
}
