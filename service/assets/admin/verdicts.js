// The operator's three questions, answered from the figures: is it helping, is it in time, is it safe? Pure.

import * as format from "./format.js";
import { column, newest, ranked, shareOf, totals, weightedMean } from "./series.js";
import { GPT2, RANGES, STORE_FAILURES, list, sentence } from "./words.js";

/** Fewer suggestions than these say nothing about whether they are wanted. */
const ENOUGH_SUGGESTIONS = 500;
/** People notice one late answer in a hundred; one in a thousand is a warning. */
const LATE = { attention: 0.001, bad: 0.01 };
/** GPT-2 is left out where it gains least first; beyond this share it is missed. */
const BROWNOUT = 0.5;
/** A message is acknowledged when it is on disk: its sender waits this long. */
const COMMIT_MS = { attention: 100, bad: 1000 };
/** What of a stretch of time is no count and so is not added up. */
const SHARES = ["brownout", "gpt2_used"];
/** So long after the store failed it is not trusted again. */
const FAILED_LATELY_S = 600;
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

/** Is it helping? Where sessions are held out, that is for the comparison to say. @returns {Verdict} */
export function helping(sums, holdout) {
  const { saved_chars: saved = null, sent_chars: sent, sent_saved: part, suggestions } = sums;
  const share = shareOf(part, sent);
  const [figure, unit] = share === null ? [format.compact(saved), "keystrokes saved"] : [format.share(share), "of keystrokes saved"];
  if (!sums.answers) return { state: "idle", answer: "Nothing asked yet", figure: format.UNKNOWN, unit: "keystrokes saved", text: "" };

  const taken = (sums.accepted ?? 0) + (sums.partial ?? 0);
  const told = savedSentence(sums);
  const how =
    taken > 0 || sums.rejected > 0 ? `${format.counted(taken, "suggestion")} taken, ${format.count(sums.rejected)} dismissed.` : "";
  const compared = comparison(holdout);
  if (compared?.verdict === "slower") {
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
  const aside = compared ? fasterSentence(compared, holdout) : "";
  if (compared?.verdict === "unknown") return { state: "idle", answer: "Not known yet", figure, unit, text: told + how, aside };
  return { state: "good", answer: "Yes", figure, unit, text: told + how, aside };
}

/** The share is of text that is known to have been sent; what is saved elsewhere is told beside it. */
function savedSentence({ saved_chars: saved, sent_chars: sent, sent_saved: part }) {
  if (!sent) return saved > 0 ? "Of how many is not known: no client tells what was sent. " : "";
  const all = saved > part ? `; ${format.count(saved)} in all, other drafts and plugins included` : "";
  return `${format.count(part)} of ${format.count(sent)} characters sent${all}. `;
}

/** Is it in time? @returns {Verdict} */
export function inTime(sums, recent, budget) {
  const { answers, late = 0, turned_away: away = 0 } = sums;
  const unit = `of answers within their budget, ${format.milliseconds(budget)} if none was named`;
  const turnedAway = `${format.counted(away, "request")} turned away: there was more to do than could be done.`;
  if (!answers && away > 0) return { state: "bad", answer: "No", figure: format.UNKNOWN, unit, text: turnedAway };
  if (!answers) return { state: "idle", answer: "Nothing asked yet", figure: format.UNKNOWN, unit, text: "" };
  const lateShare = late / answers;
  const figure = format.share(1 - lateShare);
  const parts = [late > 0 ? `${format.count(late)} of ${format.count(answers)} late.` : `none of ${format.count(answers)} late.`];
  if (recent.gpt2_used > 0) parts.push(`${GPT2} has a say in ${format.share(recent.gpt2_used)}.`);
  if (away > 0) parts.push(turnedAway);
  if (recent.brownout > BROWNOUT)
    parts.push(`${GPT2} is left out of ${format.share(recent.brownout)}: it needs more cores (--inference-threads).`);
  const p99 = recent.latency_p99_ms ?? null;
  const aside = p99 === null ? "" : `Now 99 of 100 take ${format.milliseconds(p99)} or less.`;
  const told = { figure, unit, text: parts.join(" "), aside };
  if (lateShare > LATE.bad) return { state: "bad", answer: "No", ...told };
  const strained = lateShare > LATE.attention || away > 0 || recent.brownout > BROWNOUT;
  return strained ? { state: "attention", answer: "Mostly", ...told } : { state: "good", answer: "Yes", ...told };
}

/** Who is let in, in a sentence. */
function doorSentence(keysRequired, keys) {
  if (!keysRequired) return "No keys: only programs of this machine are served.";
  return keys === 0 ? "Nobody is let in: no key holds any more. Add one, or start the service anew." : "Every client needs a key.";
}

/**
 * Is it safe: is what was taught on disk, and what is private kept back?
 * @param {{at: number, keysRequired: boolean, keys: number, store_failed: ?{reason: string, at: number, times: number}}} known
 * @returns {Verdict}
 */
export function safe(sums, recent, { at, keysRequired, keys, store_failed: failed }) {
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
  const aside = doorSentence(keysRequired, keys);
  const told = { figure, unit, text: kept.join(" "), aside };
  if (failed && at - failed.at < FAILED_LATELY_S) {
    const why = `${sentence(STORE_FAILURES[failed.reason] ?? failed.reason)}, last at ${format.timeOfDay(1000 * failed.at)}.`;
    const lost = "What could not be stored was not acknowledged.";
    return { state: "bad", answer: "No", figure: format.count(failed.times), unit: "failures of the store", text: kept.join(" "), aside: `${why} ${lost} ${aside}` };
  }
  const over = (limit) => commit > COMMIT_MS[limit] || waiting > WAITING[limit];
  if (over("bad")) return { state: "bad", answer: "The store lags", ...told };
  if (over("attention")) return { state: "attention", answer: "The store is slow", ...told };
  return { state: "good", answer: "Yes", ...told };
}

/**
 * What the hold-out says: whether those who are shown suggestions are faster. It is known once the 95 % interval has zero outside.
 * @returns {?{verdict: "faster"|"slower"|"unknown", shown: number, without: number, difference: ?object}} null while a side is missing
 */
export function comparison(holdout) {
  const without = holdout?.chars_per_minute ?? null;
  const shown = holdout?.others?.chars_per_minute ?? null;
  if (!without || !shown) return null;
  const difference = holdout.difference ?? null;
  const verdict = difference?.low > 0 ? "faster" : difference?.high < 0 ? "slower" : "unknown";
  return { verdict, shown, without, difference };
}

/** `5 % faster`, `2 % slower`. */
const faster = (part) => `${format.share(Math.abs(part))} ${part >= 0 ? "faster" : "slower"}`;

/** Whether writers are faster, in a sentence. */
function fasterSentence({ verdict, difference }, { enough_sessions: enough }) {
  if (!difference) return `Whether writers are faster is not known yet: ${format.count(enough)} sessions on either side are wanted.`;
  const interval = `${faster(difference.low)} to ${faster(difference.high)}`;
  if (verdict === "unknown") return `Whether writers are faster is not known yet: they are ${interval} (95 % interval).`;
  return `Writers type ${faster(difference.faster)} with suggestions (95 % interval: ${interval}).`;
}

/** The hold-out's result in a sentence or two. */
export function holdoutSentence(holdout) {
  const result = comparison(holdout);
  const sessions = (count) => format.counted(count, "session");
  const speed = (chars) => format.count(Math.round(chars));
  const shown = holdout?.others?.chars_per_minute ?? null;
  if (!result && shown === null) return "No typing measured yet.";
  const since = `Since ${format.dayAndTime(holdout.since)} writers with suggestions type ${speed(shown)} characters a minute`;
  const with_ = `${since} (${sessions(holdout.others.sessions)})`;
  if (!result) return `${with_}. Nobody types without.`;
  return `${with_}, without ${speed(result.without)} (${sessions(holdout.sessions)}). ${fasterSentence(result, holdout)}`;
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
