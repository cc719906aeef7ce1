// What the service's names mean, in words.

export const PREDICTORS = {
  gpt2: "language model",
  personal: "the writer's own messages",
  team: "what many of a team use",
  domain: "what is usually written",
  charlm: "spelling and rare words",
  recall: "the writer's nearest messages",
  snippet: "the writer's snippets",
};

export const SILENCES = {
  low_confidence: "nothing likely enough",
  no_candidate: "nothing fits",
  word_complete: "word finished, rest open",
  rejected_here: "dismissed here before",
  repeats_after: "repeats what follows",
  empty_text: "nothing written yet",
  private_data: "looks like personal data",
  number: "numbers are not guessed",
  unknown_script: "script not known",
  blocked: "blocked by the writer",
  disabled: "held out",
};

/** What the store failed in. */
export const STORE_FAILURES = {
  busy: "more was to be written than it could take",
  disk_full: "the disk is full",
  io: "the disk fails",
  locked: "another program holds the database",
  corrupt: "the database is damaged",
  denied: "its files cannot be written",
  other: "the store failed: the log says why",
};

/** On one line. */
export const GPT2 = "GPT\u20112";

/** Why an answer was less than it could be. */
export const DEGRADED = {
  late: "later than the budget",
  gpt2_late: `left ${GPT2} out: it was late`,
  gpt2_skipped: `left ${GPT2} out: no time for it`,
  turned_away: "turned away: too much to do",
  failed: "failed",
};

export const STATUSES = { used: "used", empty: "nothing to say", late: "late", skipped: "skipped", off: "off" };

export const RANGES = {
  hour: { label: "Hour", last: "the last hour", seconds: 3600, refresh: 10_000, empty: "no samples yet" },
  day: { label: "Day", last: "the last day", seconds: 86_400, refresh: 60_000, empty: "the first point comes within five minutes" },
  month: { label: "Month", last: "the last month", seconds: 30 * 86_400, refresh: 300_000, empty: "the first point comes within the hour" },
};

/** `a`, `a and b`, `a, b and c`. */
export function list(parts) {
  return parts.length < 2 ? (parts[0] ?? "") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** With a capital, as a sentence begins. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
