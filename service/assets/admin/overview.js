// The overview: three answers, the last minute, charts.

import { Chart } from "./chart.js";
import { byId, element, say, terms } from "./dom.js";
import * as format from "./format.js";
import { column, newest, totals, weightedMean } from "./series.js";
import { CHARTS } from "./specs.js";
import { showPredictors, showTeams } from "./tables.js";
import { helping, inTime, safe } from "./verdicts.js";
import { GPT2, RANGES, sentence } from "./words.js";

const MARKS = { good: "✓", attention: "!", bad: "×", idle: "–" };
/** What of a stretch of time is no count but a share, and so is not added up. */
const SHARES = ["brownout", "gpt2_used", "type_through"];

const charts = Object.entries(CHARTS).flatMap(([section, specs]) => {
  const made = specs.map((spec) => new Chart(spec));
  byId(`charts-${section}`).append(...made.map(({ root }) => root));
  return made;
});

/** Shows all there is to know. @param {{status: object, now: ?object, frame: ?object}} known */
export function showOverview({ status, now, frame }) {
  if (frame) for (const chart of charts) chart.update(frame, status);
  if (!now) return;
  const { sums, recent, since } = stretch(now, frame);
  showAnswer("helping", helping(sums, now.holdout), since);
  showAnswer("time", inTime(sums, recent, status.budget_ms), since);
  showAnswer("safe", safe(sums, recent, status.keys_required), since);
  byId("first").hidden = Boolean(sums.answers || now.since_start.answers);
  showNow(now, status);
  showPredictors(byId("predictors"), now.predictors);
  showTeams(byId("teams"), now.teams, status.predictors);
}

/** What the answers rest on: the range that is looked at or, while that has not caught up with a young service, all since its start. */
function stretch(now, frame) {
  const recent = now.last_minute;
  if (!frame) return { sums: now.since_start, recent, since: "since the start" };
  const sums = totals(frame);
  if ((now.since_start.answers ?? 0) > (sums.answers ?? 0)) return { sums: now.since_start, recent, since: "since the start" };
  const answers = column(frame, "answers");
  const commit = recent.store_commit_p99_ms ?? newest(column(frame, "store_commit_p99_ms"));
  const shares = Object.fromEntries(SHARES.map((name) => [name, weightedMean(column(frame, name), answers)]));
  return { sums, recent: { ...recent, ...shares, store_commit_p99_ms: commit }, since: RANGES[frame.range].last };
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
    ["writers", format.count(minute.writers_warm)],
    ["streams", format.count(minute.streams_open)],
    ["memory", format.bytes(minute.memory_bytes)],
    ["open files", format.count(minute.open_fds)],
    ["up for", format.duration((Date.now() - started) / 1000)],
  ];
  const list = byId("now");
  if (list.childElementCount === 0) list.append(...terms(rows));
  for (const [at, [, value]] of rows.entries()) say(list.children[at].lastChild, value);
}
