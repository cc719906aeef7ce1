// The panel beside the text box: who said what, how sure, how fast, or why nothing is shown.

const PREDICTORS = {
  gpt2: "language model",
  personal: "your own writing",
  team: "your team's writing",
  domain: "writing of this field",
  charlm: "spelling and rare words",
  recall: "your earlier messages",
  snippet: "your snippets",
};

const STATUSES = {
  used: "used",
  empty: "nothing to say",
  late: "too late",
  skipped: "skipped",
  off: "off",
};

const SILENCES = {
  low_confidence: "Nothing is likely enough to be worth reading.",
  empty_text: "Nothing is written yet.",
  word_complete: "The word is finished, and what follows is open.",
  rejected_here: "You dismissed a suggestion here.",
  blocked: "What would fit is a word you blocked.",
  private_data: "This looks like personal data, which is never suggested.",
  number: "Numbers are not guessed.",
  unknown_script: "None of the models knows this script.",
  repeats_after: "It would only repeat what follows the cursor.",
  no_candidate: "No predictor has anything that fits.",
  disabled: "The operator has this session go without, to see what suggestions are worth.",
};

const byId = (id) => document.getElementById(id);

/** Shows one answer of `POST /v1/complete`. */
export function showAnswer(answer) {
  showTime(answer);
  byId("suggestions").replaceChildren(...answer.suggestions.map(suggestionRow));
  byId("silence").textContent = answer.silence ? (SILENCES[answer.silence] ?? answer.silence) : "";
  const order = Object.keys(PREDICTORS);
  const asked = Object.entries(answer.predictors).sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
  byId("predictors").replaceChildren(...asked.map(predictorRow));
  byId("debug").textContent = answer.debug ? JSON.stringify(answer.debug, null, 2) : "";
}

/** Shows what the session's suggestions were worth. @param {{saved: number, written: number, taken: number}} counts */
export function showCounts({ saved, written, taken }) {
  byId("saved").textContent = String(saved);
  byId("saved-share").textContent = written > 0 ? percent(Math.max(0, Math.min(1, saved / written))) : "–";
  byId("taken").textContent = String(taken);
}

function showTime({ elapsed_ms: elapsed, budget_ms: budget, source }) {
  byId("elapsed").textContent = `${elapsed.toFixed(elapsed < 10 ? 1 : 0)} ms`;
  byId("budget").textContent = `of ${budget} ms allowed`;
  setShare(byId("elapsed-bar"), elapsed / budget);
  byId("elapsed-bar").classList.toggle("over", elapsed > budget);
  byId("source").textContent = source === "type_through" ? "You are typing what was suggested; its rest stays." : "";
}

function suggestionRow({ text, confidence, predictor, kind }) {
  const row = element("li");
  const bar = element("div", "meter");
  bar.setAttribute("aria-hidden", "true");
  setShare(bar, confidence);
  const words = element("p", "words", visible(text));
  const facts = element("p", "note", `${predictor} · ${kind}`);
  row.append(words, element("p", "share", percent(confidence)), bar, facts);
  return row;
}

function predictorRow([name, status]) {
  const row = element("li");
  row.dataset.predictor = name;
  row.dataset.status = status;
  row.append(
    element("span", "name", name),
    element("span", "note", PREDICTORS[name] ?? ""),
    element("span", "status", STATUSES[status] ?? status),
  );
  return row;
}

/** Spaces at either end are part of a suggestion and would not be seen. */
function visible(text) {
  return text.replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length)).replaceAll("\n", "⏎");
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** The length of a bar. Set through the object model: the content security policy allows no style attributes. */
function setShare(bar, share) {
  bar.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
