// Which charts there are, and how each is made of the history's columns. Pure.
//
// A line is `{label, values, colour, dash?, width?}`; colours are names of custom properties of the style sheet.

import * as format from "./format.js";
import { column, largest, newest, perMinute, ranked, ratio, shareOf, stacked, sum, total, totals, weightedMean } from "./series.js";
import { silenceSentence } from "./verdicts.js";
import { GPT2, SILENCES } from "./words.js";

const PREDICTOR_COLOURS = { gpt2: "--c1", personal: "--c2", domain: "--c3", team: "--c4", charlm: "--c6", recall: "--c5", snippet: "--c7" };
const REASON_COLOURS = {
  low_confidence: "--c5",
  no_candidate: "--c3",
  word_complete: "--c2",
  rejected_here: "--c6",
  repeats_after: "--c4",
  disabled: "--c7",
};
/** Of reasons that are rarely among the most frequent. */
const OTHER_COLOURS = ["--c1", "--c7", "--c6", "--c4", "--c2", "--c3", "--c5"];
/** More reasons than these at once are noise. */
const REASONS_SHOWN = 4;

const percent = { format: format.share, axis: format.share, least: 0.01 };
const counts = { format: format.count, axis: format.compact, least: 4 };
const times = { format: format.milliseconds, axis: (ms) => `${format.compact(ms)}\u00a0ms`, least: 1 };
/** Ticks at round numbers of bytes: powers of two. */
const sizes = {
  format: format.bytes,
  axis: format.bytes,
  least: 2 ** 20,
  steps: Array.from({ length: 24 }, (_, power) => 2 ** (18 + power)),
};

/** A share of answers, or of what else is given, as a line. */
function shareLine(frame, label, name, colour, more = {}, whole = column(frame, "answers")) {
  return { label, values: ratio(column(frame, name), whole), colour, ...more };
}

/** What was asked: what was answered and what was turned away. */
function asked(frame) {
  const away = column(frame, "turned_away");
  return column(frame, "answers").map((answers, at) => (answers ?? 0) + (away[at] ?? 0));
}

function plainLine(frame, label, name, colour, more = {}) {
  return { label, values: column(frame, name), colour, ...more };
}

function saved(frame) {
  const parts = ranked(totals(frame), "saved");
  return parts.map(([name]) => ({
    label: name,
    values: perMinute(column(frame, `saved.${name}`), frame.step_s),
    colour: PREDICTOR_COLOURS[name] ?? "--c5",
  }));
}

function savedSentence(frame) {
  const sums = totals(frame);
  const parts = ranked(sums, "saved");
  if (!sums.saved_chars) return "Nothing was taken yet.";
  const [first] = parts;
  const most = first ? `, most by ${first[0]} (${format.share(shareOf(first[1], total(parts.map(([, count]) => count))))})` : "";
  return `${format.count(sums.saved_chars)} saved${most}.`;
}

function takenSentence(frame) {
  const { suggestions, accepted, partial, rejected } = totals(frame);
  if (!suggestions) return "Nothing was shown yet.";
  const of = (part) => format.share(shareOf(part ?? 0, suggestions));
  return `${of(accepted)} of what is shown is taken whole, ${of(partial)} in part; ${of(rejected)} dismissed.`;
}

function silences(frame) {
  const reasons = ranked(totals(frame), "silences").map(([name]) => name);
  const shown = reasons.slice(0, REASONS_SHOWN);
  const rest = reasons.slice(REASONS_SHOWN);
  const answers = column(frame, "answers");
  const line = (label, values, colour) => ({ label, values: ratio(values, answers), colour });
  const taken = new Set(shown.map((name) => REASON_COLOURS[name]));
  const free = OTHER_COLOURS.filter((colour) => !taken.has(colour));
  const colour = (name) => REASON_COLOURS[name] ?? free.shift();
  const lines = shown.map((name) => line(SILENCES[name] ?? name, column(frame, `silences.${name}`), colour(name)));
  if (rest.length === 0) return lines;
  const others = sum(
    rest.map((name) => column(frame, `silences.${name}`)),
    frame.at.length,
  );
  return [...lines, line("other reasons", others, "--c8")];
}

function latencySentence(frame, { budget_ms: budget }) {
  const worst = largest(column(frame, "latency_p99_ms"));
  if (worst === null) return "No answers yet.";
  const typical = weightedMean(column(frame, "latency_p50_ms"), column(frame, "answers"));
  return `Half take about ${format.milliseconds(typical)}; the worst p99 was ${format.milliseconds(worst)}, the budget is ${format.milliseconds(budget)}.`;
}

function strainSentence(frame) {
  const { answers, late, turned_away: away } = totals(frame);
  if (!answers) return "No answers yet.";
  const brownout = weightedMean(column(frame, "brownout"), column(frame, "answers"));
  return `${format.counted(late ?? 0, "late answer")}, ${format.count(away ?? 0)} turned away; ${format.share(brownout)} without ${GPT2}.`;
}

function reuseSentence(frame) {
  const mean = (name) => format.share(weightedMean(column(frame, name), column(frame, "answers")));
  if (!total(column(frame, "answers"))) return "No answers yet.";
  return `${mean("type_through")} typed through, ${mean("kv_hit")} of the context still held by ${GPT2}.`;
}

function storeSentence(frame) {
  const worst = largest(column(frame, "store_commit_p99_ms"));
  return worst === null ? "Nothing was written yet." : `The slowest p99 was ${format.milliseconds(worst)}.`;
}

function learnedSentence(frame) {
  const learned = total(column(frame, "learned"));
  const waiting = newest(column(frame, "store_queue"));
  return `${format.counted(learned ?? 0, "message")} learned; ${format.counted(waiting ?? 0, "write")} waiting now.`;
}

function memorySentence(frame) {
  const now = newest(column(frame, "memory_bytes"));
  if (now === null) return "No sample yet.";
  return `${format.bytes(now)} now, ${format.bytes(largest(column(frame, "memory_bytes")))} at most.`;
}

function writersSentence(frame) {
  const now = newest(column(frame, "writers_minute"));
  if (now === null) return "No sample yet.";
  const most = largest(column(frame, "writers_minute"));
  return `${format.counted(now, "writer")} typed in the last minute, ${format.count(most)} at most.`;
}

function speedSentence(frame) {
  const held = newest(column(frame, "speed_heldout"));
  return held === null ? "Nobody is held out: there is nothing to compare with." : "Characters a minute, pauses left out.";
}

/** By section of the page. */
export const CHARTS = {
  helping: [
    { id: "saved", title: "Keystrokes saved a minute", lines: saved, isStacked: true, sentence: savedSentence, ...counts },
    {
      id: "taken",
      title: "Suggestions taken",
      lines: (frame) => [
        shareLine(frame, "whole", "accepted", "--c1", {}, column(frame, "suggestions")),
        shareLine(frame, "in part", "partial", "--c2", {}, column(frame, "suggestions")),
        shareLine(frame, "dismissed", "rejected", "--c6", { dash: [4, 3] }, column(frame, "suggestions")),
      ],
      sentence: takenSentence,
      ...percent,
    },
    {
      id: "silence",
      title: "Silence by reason",
      lines: silences,
      isStacked: true,
      sentence: (frame) => silenceSentence(totals(frame), SILENCES),
      ...percent,
    },
  ],
  time: [
    {
      id: "latency",
      title: "Latency against the budget",
      lines: (frame) => [
        plainLine(frame, "p99", "latency_p99_ms", "--c1", { width: 2 }),
        plainLine(frame, "p90", "latency_p90_ms", "--t2"),
        plainLine(frame, "p50", "latency_p50_ms", "--t1"),
        plainLine(frame, "fast tier, p99", "fast_p99_ms", "--c2", { dash: [4, 3] }),
      ],
      limit: ({ budget_ms: budget }) => ({ value: budget, label: `budget ${format.milliseconds(budget)}` }),
      sentence: latencySentence,
      ...times,
    },
    {
      id: "strain",
      title: "Under strain",
      lines: (frame) => [
        shareLine(frame, "late", "late", "--c6", { width: 2 }),
        shareLine(frame, "turned away", "turned_away", "--c4", {}, asked(frame)),
        plainLine(frame, `without ${GPT2}`, "brownout", "--c3"),
        plainLine(frame, "busy", "busy", "--c5", { dash: [4, 3] }),
      ],
      sentence: strainSentence,
      ...percent,
    },
    {
      id: "reuse",
      title: "Work that was spared",
      lines: (frame) => [
        plainLine(frame, "typed through", "type_through", "--c1"),
        plainLine(frame, "KV cache hits", "kv_hit", "--c2"),
        plainLine(frame, `${GPT2} asked`, "gpt2_used", "--c5", { dash: [4, 3] }),
      ],
      sentence: reuseSentence,
      ...percent,
    },
  ],
  safe: [
    {
      id: "store",
      title: "Until it is on disk",
      lines: (frame) => [plainLine(frame, "p99", "store_commit_p99_ms", "--c1", { width: 2 })],
      sentence: storeSentence,
      ...times,
    },
    {
      id: "learned",
      title: "Messages learned a minute",
      lines: (frame) => [
        { label: "learned", values: perMinute(column(frame, "learned"), frame.step_s), colour: "--c1" },
        plainLine(frame, "writes waiting", "store_queue", "--c6", { dash: [4, 3] }),
      ],
      sentence: learnedSentence,
      ...counts,
    },
    {
      id: "memory",
      title: "Memory",
      lines: (frame) => [
        plainLine(frame, "whole process", "memory_bytes", "--c1", { width: 2 }),
        plainLine(frame, "KV caches", "kv_bytes", "--c2"),
      ],
      sentence: memorySentence,
      ...sizes,
    },
    {
      id: "writers-active",
      title: "Writers",
      lines: (frame) => [
        plainLine(frame, "typed in a minute", "writers_minute", "--c1", { width: 2 }),
        plainLine(frame, "in an hour", "writers_hour", "--c3"),
        plainLine(frame, "in memory", "writers_warm", "--c5", { dash: [4, 3] }),
        plainLine(frame, "streams open", "streams_open", "--c2"),
      ],
      sentence: writersSentence,
      ...counts,
    },
  ],
  speed: [
    {
      id: "speed",
      title: "Typing speed",
      lines: (frame) => [
        plainLine(frame, "with suggestions", "speed", "--c1", { width: 2 }),
        plainLine(frame, "held out", "speed_heldout", "--c6", { dash: [4, 3] }),
      ],
      sentence: speedSentence,
      ...counts,
    },
  ],
};

/** What a chart draws of a frame: its lines, and the columns as they stand on one another. */
export function drawn(spec, frame) {
  const lines = spec.lines(frame);
  const columns = lines.map(({ values }) => values);
  return { lines, columns: spec.isStacked ? stacked(columns) : columns };
}
