// The operator's three questions, answered from the figures: is it helping, is it in time, is it safe? Pure.

import * as format from "./format.js";
import { column, newest, ranked, shareOf, totals, weightedMean } from "./series.js";
import { GPT2, RANGES, list } from "./words.js";

/** Fewer suggestions than these say nothing about whether they are wanted. */
const ENOUGH_SUGGESTIONS = 500;
/** Fewer sessions than these on either side are chance. */
const ENOUGH_SESSIONS = 30;
/** People notice one late answer in a hundred; one in a thousand is a warning. */
const LATE = { attention: 0.001, bad: 0.01 };
/** GPT-2 is left out where it gains least first; beyond this share it is missed. */
const BROWNOUT = 0.5;
/** A message is acknowledged when it is on disk: its sender waits this long. */
const COMMIT_MS = { attention: 100, bad: 1000 };
/** What of a stretch of time is no count and so is not added up. */
const SHARES = ["brownout", "gpt2_used"];
const WAITING = { attention: 100, bad: 1000 };

/**
 * @typedef {object} Verdict
 * @property {"idle"|"good"|"attention"|"bad"} state
 * @property {string} answer the state in a word
 * @property {string} figure with `unit`: what the answer rests on
 * @property {string} unit
 * @property {string} text a sentence or two about the stretch of time that is looked at
 * @property {string} [aside] what holds now, whatever is looked at
 */

/**
 * What the answers rest on: the range that is looked at or, while that has not caught up with a young service, all since its start.
 * @returns {{sums: object, recent: object, since: string}} totals, shares and what is known of late, and the stretch in words
 */
export function stretch(now, frame, uptime) {
  const recent = now.last_minute;
  const whole = Object.fromEntries(SHARES.map((name) => [name, now.since_start[name] ?? null]));
  const all = { sums: now.since_start, recent: { ...recent, ...whole }, since: "since the start" };
  if (!frame) return all;
  const sums = totals(frame);
  const { last, seconds } = RANGES[frame.range];
  if (uptime < seconds && (now.since_start.answers ?? 0) > (sums.answers ?? 0)) return all;
  const answers = column(frame, "answers");
  const shares = Object.fromEntries(SHARES.map((name) => [name, weightedMean(column(frame, name), answers)]));
  const commit = recent.store_commit_p99_ms ?? newest(column(frame, "store_commit_p99_ms"));
  return { sums, recent: { ...recent, ...shares, store_commit_p99_ms: commit }, since: last };
}

/** Is it helping? @returns {Verdict} */
export function helping(sums, holdout) {
  const { saved_chars: saved = null, typed_chars: typed, suggestions } = sums;
  const part = typed >= saved ? shareOf(saved, typed) : null;
  const [figure, unit] = part === null ? [format.compact(saved), "keystrokes saved"] : [format.share(part), "of keystrokes saved"];
  if (!sums.answers) return { state: "idle", answer: "Nothing asked yet", figure: format.UNKNOWN, unit: "keystrokes saved", text: "" };

  const taken = (sums.accepted ?? 0) + (sums.partial ?? 0);
  const told = part === null ? "" : `${format.count(saved)} of ${format.count(typed)} characters sent. `;
  const how =
    taken > 0 || sums.rejected > 0 ? `${format.counted(taken, "suggestion")} taken, ${format.count(sums.rejected)} dismissed.` : "";
  const slower = comparison(holdout);
  if (slower?.settled && slower.faster < -0.02) {
    return { state: "bad", answer: "No", figure, unit, text: `${told}Writers type faster without suggestions: see the hold-out.` };
  }
  if (!taken && suggestions < ENOUGH_SUGGESTIONS) {
    return {
      state: "idle",
      answer: "Not known yet",
      figure,
      unit,
      text: `${format.counted(suggestions, "suggestion")} shown, none taken so far.`,
    };
  }
  if (!(saved > 0)) {
    const why = "Nothing shown is taken. Do clients send feedback, with how many characters were taken?";
    return { state: "attention", answer: "Not that one sees", figure, unit, text: why };
  }
  if (sums.rejected > taken)
    return { state: "attention", answer: "In part", figure, unit, text: `${told}${how} More is dismissed than taken.` };
  return { state: "good", answer: "Yes", figure, unit, text: told + how };
}

/** Is it in time? @returns {Verdict} */
export function inTime(sums, recent, budget) {
  const { answers, late = 0, turned_away: away = 0 } = sums;
  const unit = `of answers within ${format.milliseconds(budget)}`;
  if (!answers) return { state: "idle", answer: "Nothing asked yet", figure: format.UNKNOWN, unit, text: "" };
  const lateShare = late / answers;
  const figure = format.share(1 - lateShare);
  const parts = [late > 0 ? `${format.count(late)} of ${format.count(answers)} late.` : `none of ${format.count(answers)} late.`];
  if (recent.gpt2_used > 0) parts.push(`${GPT2} has a say in ${format.share(recent.gpt2_used)}.`);
  if (away > 0) parts.push(`${format.counted(away, "request")} turned away: there was more to do than could be done.`);
  if (recent.brownout > BROWNOUT)
    parts.push(`${GPT2} is left out of ${format.share(recent.brownout)}: it needs more cores (--inference-threads).`);
  const p99 = recent.latency_p99_ms ?? null;
  const aside = p99 === null ? "" : `Now 99 of 100 take ${format.milliseconds(p99)} or less.`;
  const told = { figure, unit, text: parts.join(" "), aside };
  if (lateShare > LATE.bad) return { state: "bad", answer: "No", ...told };
  const strained = lateShare > LATE.attention || away > 0 || recent.brownout > BROWNOUT;
  return strained ? { state: "attention", answer: "Mostly", ...told } : { state: "good", answer: "Yes", ...told };
}

/** Is it safe: is what was taught on disk, and what is private kept back? @returns {Verdict} */
export function safe(sums, recent, keysRequired) {
  const commit = recent.store_commit_p99_ms ?? null;
  const waiting = recent.store_queue ?? 0;
  const [figure, unit] =
    commit === null
      ? [format.count(waiting), waiting === 1 ? "write waiting for the disk" : "writes waiting for the disk"]
      : [format.milliseconds(commit), "until a message is on disk"];
  const kept = [];
  if (sums.learned > 0) kept.push(`${format.counted(sums.learned, "message")} learned, each on disk before it was acknowledged.`);
  const held = sums["silences.private_data"] ?? 0;
  if (held > 0) kept.push(`${format.counted(held, "time")} nothing was shown because it looked like personal data.`);
  const aside = keysRequired ? "Every client needs a key." : "No keys: only programs of this machine are served.";
  const told = { figure, unit, text: kept.join(" "), aside };
  const over = (limit) => commit > COMMIT_MS[limit] || waiting > WAITING[limit];
  if (over("bad")) return { state: "bad", answer: "The store lags", ...told };
  if (over("attention")) return { state: "attention", answer: "The store is slow", ...told };
  return { state: "good", answer: "Yes", ...told };
}

/** How much faster those with suggestions type, as a share; null while a side is missing. */
export function comparison(holdout) {
  const without = holdout?.chars_per_minute ?? null;
  const shown = holdout?.others?.chars_per_minute ?? null;
  if (!without || !shown) return null;
  const settled = Math.min(holdout.sessions, holdout.others.sessions) >= ENOUGH_SESSIONS;
  return { faster: shown / without - 1, settled, shown, without };
}

/** The hold-out's result in a sentence. */
export function holdoutSentence(holdout) {
  const result = comparison(holdout);
  const sessions = (count) => format.counted(count, "session");
  if (!result) {
    const shown = holdout?.others?.chars_per_minute ?? null;
    if (shown === null) return "No typing measured yet.";
    return `Writers with suggestions type ${format.count(Math.round(shown))} characters a minute (${sessions(holdout.others.sessions)}). Nobody types without.`;
  }
  const { shown, without, faster, settled } = result;
  const speeds =
    `Writers with suggestions type ${format.count(Math.round(shown))} characters a minute (${sessions(holdout.others.sessions)}), ` +
    `without ${format.count(Math.round(without))} (${sessions(holdout.sessions)})`;
  if (!settled) return `${speeds}. Too few to tell: ${ENOUGH_SESSIONS} sessions on either side are wanted.`;
  return `${speeds}: ${format.share(Math.abs(faster))} ${faster >= 0 ? "faster" : "slower"} with them.`;
}

/** Why answers were silent, in a sentence. @param {Record<string, string>} words reasons in words */
export function silenceSentence(sums, words) {
  const reasons = ranked(sums, "silences");
  const silent = reasons.reduce((sum, [, count]) => sum + count, 0);
  if (!sums.answers) return "No answers yet.";
  if (silent === 0) return "Every answer showed something.";
  const main = reasons.slice(0, 2).map(([name, count]) => `${words[name] ?? name} (${format.share(count / silent)})`);
  return `${format.share(silent / sums.answers)} of answers show nothing, mostly: ${list(main)}.`;
}
