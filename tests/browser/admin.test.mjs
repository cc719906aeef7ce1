// node --test: what the operators' page makes of figures before it draws any.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../service/assets/admin/format.js";
import * as series from "../../service/assets/admin/series.js";
import { CHARTS, drawn } from "../../service/assets/admin/specs.js";
import { comparison, helping, holdoutSentence, inTime, safe, silenceSentence, stretch } from "../../service/assets/admin/verdicts.js";
import { SILENCES, list } from "../../service/assets/admin/words.js";

/** Spaces that do not break are spaces to the reader. */
const plain = (text) => text.replaceAll("\u00a0", " ").replaceAll("\u2011", "-");

function check(format, cases) {
  for (const [value, expected] of cases) assert.equal(plain(format(value)), expected, String(value));
}

test("a share has as many decimals as tell it from none and from all", () => {
  check(format.share, [
    [0, "0 %"],
    [1, "100 %"],
    [0.418, "42 %"],
    [0.05, "5 %"],
    [0.0234, "2.3 %"],
    [0.0002, "0.02 %"],
    [0.00001, "< 0.01 %"],
  ]);
  check(format.share, [
    [0.9998, "99.98 %"],
    [0.999999, "> 99.99 %"],
    [0.97, "97 %"],
    [null, "–"],
    [NaN, "–"],
  ]);
});

test("times and sizes carry the unit that fits", () => {
  check(format.milliseconds, [
    [0.44, "0.4 ms"],
    [13.68, "13.7 ms"],
    [142.4, "142 ms"],
    [1500, "1,500 ms"],
    [12_340, "12.3 s"],
    [null, "–"],
  ]);
  check(format.bytes, [
    [0, "0 B"],
    [1023, "1,023 B"],
    [1536, "1.5 KiB"],
    [402 * 2 ** 20, "402 MiB"],
    [3 * 2 ** 30, "3 GiB"],
  ]);
  check(format.duration, [
    [0, "0 s"],
    [59, "59 s"],
    [60, "1 min"],
    [754, "12 min"],
    [3600, "1 h"],
    [11_520, "3 h 12 min"],
    [273_600, "3 d 4 h"],
  ]);
  check(format.count, [
    [0, "0"],
    [1234, "1,234"],
    [2.5, "2.5"],
    [12.6, "13"],
    [undefined, "–"],
  ]);
  assert.equal(format.counted(1, "writer"), "1 writer");
  assert.equal(format.counted(2, "writer"), "2 writers");
});

test("a tick names the day where one begins", () => {
  const seconds = (...date) => new Date(...date).getTime() / 1000;
  assert.equal(format.tick(seconds(2026, 10, 29), 3600), "29 Nov");
  assert.equal(format.tick(seconds(2026, 10, 29, 14, 30), 900), "14:30");
  assert.equal(format.tick(seconds(2026, 10, 29, 14, 30, 20), 10), "14:30:20");
});

test("a step without a sample is neither nothing nor part of a sum", () => {
  assert.equal(series.total([1, null, 2]), 3);
  assert.equal(series.total([null, null]), null);
  assert.equal(series.total([]), null);
  assert.equal(series.newest([1, 2, null]), 2);
  assert.equal(series.largest([1, 5, null, 2]), 5);
  assert.equal(series.largest([null]), null);
  assert.deepEqual(series.ratio([1, null, 3, 0], [4, 4, 0, 5]), [0.25, null, null, 0]);
  assert.deepEqual(series.perMinute([5, null], 10), [30, null]);
  assert.deepEqual(series.column({ at: [1, 2], series: {} }, "late"), [null, null]);
});

test("a mean share weighs each step by its answers", () => {
  assert.equal(series.weightedMean([1, 0, null], [1, 3, 100]), 0.25);
  assert.equal(series.weightedMean([0.5], [0]), null);
});

test("areas stand on one another, and a gap is a gap in all", () => {
  assert.deepEqual(
    series.stacked([
      [1, null, 2],
      [3, null, null],
      [-1, null, 1],
    ]),
    [
      [1, null, 2],
      [4, null, 2],
      [4, null, 3],
    ],
  );
  assert.deepEqual(series.stacked([]), []);
});

test("a young service is shown with some room before it", () => {
  const at = [100, 110, 120, 130];
  assert.deepEqual(series.span({ at, series: { answers: [null, null, 1, 2] } }, 2), [110, 130]);
  assert.deepEqual(series.span({ at, series: { answers: [1, 1, 1, 1] } }, 2), [100, 130]);
  assert.equal(series.span({ at, series: { answers: [null, null, null, null] } }), null);
  assert.equal(series.span({ at: [], series: {} }), null);
});

test("families of series are ranked, the empty left out", () => {
  const sums = { "silences.number": 2, "silences.no_candidate": 8, "silences.blocked": 0, "silences.disabled": null, answers: 40 };
  assert.deepEqual(series.ranked(sums, "silences"), [
    ["no_candidate", 8],
    ["number", 2],
  ]);
  assert.equal(
    plain(silenceSentence(sums, SILENCES)),
    "25 % of answers show nothing, mostly: nothing fits (80 %) and numbers are not guessed (20 %).",
  );
  assert.equal(silenceSentence({ answers: 0 }, SILENCES), "No answers yet.");
  assert.equal(silenceSentence({ answers: 3 }, SILENCES), "Every answer showed something.");
});

const busy = {
  answers: 10_000,
  suggestions: 7000,
  saved_chars: 4200,
  sent_chars: 10_000,
  sent_saved: 4200,
  accepted: 350,
  partial: 80,
  rejected: 30,
  late: 0,
  turned_away: 0,
};

/** A hold-out whose interval is that, as the service says it. */
const heldOut = (difference, sessions = 40) => ({
  share: 0.1,
  since: 1_700_000_000_000,
  enough_sessions: 30,
  sessions,
  chars_per_minute: 204,
  others: { sessions: 812, chars_per_minute: 231 },
  difference,
});
const FASTER = { faster: 0.13, low: 0.05, high: 0.21 };
const SLOWER = { faster: -0.1, low: -0.16, high: -0.03 };
const EITHER = { faster: 0.04, low: -0.02, high: 0.11 };

test("it helps if characters are saved, and the share is of what was sent", () => {
  const { state, figure, text } = helping(busy, null);
  assert.equal(state, "good");
  assert.equal(plain(figure), "42 %");
  assert.match(text, /^4,200 of 10,000 characters sent\. 430 suggestions taken, 30 dismissed/);
  const nothingSent = helping({ ...busy, sent_chars: 0, sent_saved: 0 }, null);
  assert.deepEqual([plain(nothingSent.figure), nothingSent.unit], ["4.2K", "keystrokes saved"], "no share of what nobody tells");
  assert.match(nothingSent.text, /Of how many is not known/);
});

test("what plugins save is told beside the share, not in it", () => {
  const { figure, text } = helping({ ...busy, saved_chars: 9200 }, null);
  assert.equal(plain(figure), "42 %");
  assert.match(text, /^4,200 of 10,000 characters sent; 9,200 in all, other drafts and plugins included\./);
});

test("it does not help if nothing is taken, or people are slower for it", () => {
  assert.equal(helping({ answers: 0 }, null).state, "idle");
  assert.equal(helping({ ...busy, saved_chars: 0, accepted: 0, partial: 0, suggestions: 20 }, null).state, "idle");
  assert.equal(helping({ ...busy, saved_chars: 0, accepted: 0, partial: 0 }, null).state, "attention");
  assert.equal(helping({ ...busy, rejected: 1000 }, null).state, "attention");
  assert.equal(helping(busy, heldOut(SLOWER)).state, "bad");
});

test("where sessions are held out it helps once chance is ruled out", () => {
  const faster = helping(busy, heldOut(FASTER));
  assert.deepEqual([faster.state, faster.answer], ["good", "Yes"]);
  assert.equal(plain(faster.aside), "Writers type 13 % faster with suggestions (95 % interval: 5 % faster to 21 % faster).");
  const either = helping(busy, heldOut(EITHER));
  assert.deepEqual([either.state, either.answer], ["idle", "Not known yet"]);
  assert.match(plain(either.aside), /not known yet: they are 2 % slower to 11 % faster/);
  assert.equal(helping(busy, heldOut(null, 3)).answer, "Not known yet", "three sessions prove nothing");
});

test("it is in time while hardly anything is late", () => {
  assert.equal(inTime({}, {}, 20).state, "idle");
  assert.equal(inTime({ turned_away: 9 }, {}, 20).state, "bad");
  const fast = inTime(busy, { latency_p99_ms: 13.6, gpt2_used: 0.37 }, 20);
  assert.deepEqual([fast.state, plain(fast.figure), plain(fast.unit)], ["good", "100 %", "of answers within their budget, 20 ms if none was named"]);
  assert.equal(plain(fast.aside), "Now 99 of 100 take 13.6 ms or less.");
  assert.equal(inTime({ ...busy, late: 50 }, {}, 20).state, "attention");
  assert.equal(inTime({ ...busy, late: 101 }, {}, 20).state, "bad");
  assert.match(inTime({ ...busy, turned_away: 1 }, {}, 20).text, /1 request turned away/);
  const brownout = inTime(busy, { brownout: 0.7 }, 20);
  assert.equal(brownout.state, "attention");
  assert.match(brownout.text, /--inference-threads/);
});

test("it is safe while what is taught reaches the disk soon", () => {
  const open = { at: 1_800_000_000, keysRequired: false, keys: 0, store_failed: null };
  const keyed = { ...open, keysRequired: true, keys: 2 };
  const calm = safe({ learned: 12, "silences.private_data": 3 }, { store_commit_p99_ms: 4.2, store_queue: 0 }, open);
  assert.deepEqual([calm.state, plain(calm.figure)], ["good", "4.2 ms"]);
  assert.match(calm.text, /12 messages learned.* 3 times nothing was shown/);
  assert.match(calm.aside, /only programs of this machine/);
  assert.match(safe({}, {}, keyed).aside, /needs a key/);
  assert.match(safe({}, {}, { ...keyed, keys: 0 }).aside, /Nobody is let in/);
  assert.equal(safe({}, { store_commit_p99_ms: 300 }, keyed).state, "attention");
  assert.equal(safe({}, { store_queue: 5000 }, keyed).state, "bad");
  const failed = (ago) => safe({}, {}, { ...keyed, store_failed: { reason: "disk_full", at: keyed.at - ago, times: 3 } });
  assert.deepEqual([failed(5).state, failed(5).answer, failed(5).figure], ["bad", "No", "3"]);
  assert.ok(failed(5).aside.startsWith(`The disk is full, last at ${format.timeOfDay(1000 * (keyed.at - 5))}. `), failed(5).aside);
  assert.equal(failed(3_600).state, "good");
});

test("the hold-out says how far chance reaches", () => {
  const told = /^Since \d+ \w+, [\d:]+ writers with suggestions type 231 characters a minute \(812 sessions\), without 204 \(40 sessions\)\. (.*)$/;
  const said = (difference) => told.exec(plain(holdoutSentence(heldOut(difference))))[1];
  assert.deepEqual([FASTER, SLOWER, EITHER, null].map((difference) => comparison(heldOut(difference)).verdict), [
    "faster",
    "slower",
    "unknown",
    "unknown",
  ]);
  assert.equal(said(FASTER), "Writers type 13 % faster with suggestions (95 % interval: 5 % faster to 21 % faster).");
  assert.equal(said(SLOWER), "Writers type 10 % slower with suggestions (95 % interval: 16 % slower to 3 % slower).");
  assert.equal(said(EITHER), "Whether writers are faster is not known yet: they are 2 % slower to 11 % faster (95 % interval).");
  assert.equal(said(null), "Whether writers are faster is not known yet: 30 sessions on either side are wanted.");
  assert.match(holdoutSentence({ ...heldOut(null), sessions: 0, chars_per_minute: null }), /Nobody types without/);
  assert.equal(holdoutSentence(null), "No typing measured yet.");
});

test("every chart draws and describes what it is given: much, gaps, or nothing", () => {
  const status = { budget_ms: 20 };
  const names = [
    "answers",
    "suggestions",
    "saved_chars",
    "accepted",
    "partial",
    "rejected",
    "saved.gpt2",
    "saved.domain",
    "late",
    "turned_away",
    "brownout",
  ];
  const more = [
    "busy",
    "kv_hit",
    "gpt2_used",
    "type_through",
    "latency_p50_ms",
    "latency_p99_ms",
    "store_commit_p99_ms",
    "memory_bytes",
    "writers_minute",
    "writers_hour",
    "writers_warm",
  ];
  const reasons = ["no_candidate", "low_confidence", "number", "blocked", "disabled", "a_new_one"].map((name) => `silences.${name}`);
  const full = { range: "hour", step_s: 10, at: [10, 20, 30], series: {} };
  for (const name of [...names, ...more, ...reasons]) full.series[name] = [2, null, 4];
  const empty = { range: "day", step_s: 300, at: [], series: {} };
  for (const spec of Object.values(CHARTS).flat()) {
    for (const frame of [full, empty]) {
      const { lines, columns } = drawn(spec, frame);
      for (const values of columns) assert.equal(values.length, frame.at.length, `${spec.id} is as long as its time`);
      for (const { label, colour } of lines) assert.match(`${label} ${colour}`, /^\S.* --[ct]\d$/);
      assert.match(spec.sentence(frame, status), /^[^A-Z]*[A-Z0-9<].*\.$/s, spec.id);
      assert.doesNotMatch(spec.sentence(frame, status), /NaN|undefined|null/, spec.id);
    }
  }
  assert.equal(drawn(CHARTS.helping[2], full).lines.length, 5, "four reasons and the others");
});

test("lists read as a sentence does", () => {
  assert.equal(list([]), "");
  assert.equal(list(["a"]), "a");
  assert.equal(list(["a", "b", "c"]), "a, b and c");
});

test("the answers rest on the range, and on all since the start while that is ahead of it", () => {
  const frame = {
    range: "hour",
    step_s: 10,
    at: [10, 20, 30],
    series: { answers: [2, 6, null], gpt2_used: [1, 0, null], store_commit_p99_ms: [null, 5, null] },
  };
  const sums = { answers: 9, brownout: 0.1, gpt2_used: 0.5 };
  const now = { since_start: sums, last_minute: { latency_p99_ms: 12, gpt2_used: 0.9 } };
  const recent = { latency_p99_ms: 12, brownout: 0.1, gpt2_used: 0.5 };
  assert.deepEqual(stretch(now, null, 5), { sums, recent, since: "since the start" });
  assert.equal(stretch(now, frame, 40).sums.answers, 9, "the newest keys are not in the history yet");
  const old = stretch(now, frame, 7200);
  assert.deepEqual([old.sums.answers, old.since], [8, "the last hour"]);
  assert.deepEqual(old.recent, { latency_p99_ms: 12, brownout: null, gpt2_used: 0.25, store_commit_p99_ms: 5 });
});
