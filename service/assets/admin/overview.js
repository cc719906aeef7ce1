// The overview: three answers, the last minute, charts.

import { Chart } from "./chart.js";
import { byId, element, say, terms } from "./dom.js";
import * as format from "./format.js";
import { CHARTS } from "./specs.js";
import { showPredictors, showTeams } from "./tables.js";
import { helping, inTime, safe, stretch } from "./verdicts.js";
import { GPT2, sentence } from "./words.js";

const MARKS = { good: "✓", attention: "!", bad: "×", idle: "–" };

const charts = Object.entries(CHARTS).flatMap(([section, specs]) => {
  const made = specs.map((spec) => new Chart(spec));
  byId(`charts-${section}`).append(...made.map(({ root }) => root));
  return made;
});

let drawn = null;

/** Shows all there is to know. @param {{status: object, now: ?object, frame: ?object}} known */
export function showOverview({ status, now, frame }) {
  if (frame && frame !== drawn) for (const chart of charts) chart.update(frame, status);
  drawn = frame;
  if (!now) return;
  const { sums, recent, since } = stretch(now, frame, (Date.now() - status.started_at) / 1000);
  showAnswer("helping", helping(sums, now.holdout), since);
  showAnswer("time", inTime(sums, recent, status.budget_ms), since);
  showAnswer("safe", safe(sums, recent, { ...now, keysRequired: status.keys_required }), since);
  byId("first").hidden = Boolean(sums.answers || now.since_start.answers);
  showNow(now, status);
  say(byId("tables-since"), `since ${format.dayAndTime(now.tables_since)}`);
  showPredictors(byId("predictors"), now.predictors);
  showTeams(byId("teams"), now.teams, status.predictors);
}

function showAnswer(name, { state, answer, figure, unit, text, aside = "" }, since) {
  const card = byId(`answer-${name}`);
  if (card.childElementCount === 1) {
    const verdict = element("p", { class: "verdict" }, element("span", { class: "mark", "aria-hidden": "true" }), element("span", {}));
    const figured = element("p", { class: "figure" }, element("strong", {}), " ", element("span", {}));
    card.append(verdict, figured, element("p", { class: "reason" }));
  }
  card.dataset.state = state;
  const [, verdict, figured, reason] = card.children;
  say(verdict.firstChild, MARKS[state]);
  say(verdict.lastChild, answer);
  say(figured.firstChild, figure);
  say(figured.lastChild, unit);
  say(reason, `${text ? `${sentence(since)}: ${text}` : ""} ${aside}`.trim());
}

function showNow({ last_minute: minute, window_s: seconds }, { started_at: started }) {
  const rows = [
    ["answers / s", minute.answers === null ? format.UNKNOWN : format.count(minute.answers / seconds)],
    ["p50", format.milliseconds(minute.latency_p50_ms)],
    ["p99", format.milliseconds(minute.latency_p99_ms)],
    ["fast tier p99", format.milliseconds(minute.fast_p99_ms)],
    [`with ${GPT2}`, format.share(minute.gpt2_used)],
    ["busy", format.share(minute.busy)],
    ["writers typing", format.count(minute.writers_minute)],
    ["streams", format.count(minute.streams_open)],
    ["memory", format.bytes(minute.memory_bytes)],
    ["open files", format.count(minute.open_fds)],
    ["up for", format.duration((Date.now() - started) / 1000)],
  ];
  const list = byId("now");
  if (list.childElementCount === 0) list.append(...terms(rows));
  for (const [at, [, value]] of rows.entries()) say(list.children[at].lastChild, value);
}
