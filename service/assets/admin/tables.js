// What each predictor and each team has to do with it, as tables that become cards on a narrow screen.

import { element, meter } from "./dom.js";
import * as format from "./format.js";
import { PREDICTORS } from "./words.js";

/** A weight of so much, or of its inverse, fills its bar. */
const LARGEST_WEIGHT = 2;

/** Who proposed what was taken. */
export function showPredictors(table, predictors) {
  const saved = predictors.reduce((sum, { saved_chars: chars }) => sum + Math.max(0, chars), 0);
  const asked = predictors.filter((row) => Object.values(row).some((value) => value > 0));
  const rows = asked
    .toSorted((one, other) => other.saved_chars - one.saved_chars)
    .map((row) => [
      element("span", { title: PREDICTORS[row.predictor] }, row.predictor),
      withBar(format.count(row.saved_chars), row.saved_chars / saved),
      ...[row.accepted, row.partial, row.rejected, row.used, row.late, row.skipped].map(format.count),
    ]);
  fill(table, ["Predictor", "Saved", "Taken", "In part", "Dismissed", "Used", "Late", "Skipped"], rows, "Nobody was asked yet.");
}

/** What teams save, and whom they listen to. */
export function showTeams(table, teams, predictors) {
  const tenants = new Set(teams.map(({ tenant }) => tenant));
  const most = Math.max(1, ...teams.map(({ saved_chars: saved }) => saved));
  const weighed = predictors.filter((name) => teams.some(({ weights }) => weights?.[name] !== undefined));
  const rows = teams.map((row) => [
    tenants.size > 1 ? `${row.team ?? "no team"} · ${row.tenant}` : (row.team ?? "no team"),
    format.count(row.members),
    withBar(format.count(row.saved_chars), row.saved_chars / most),
    format.count(row.accepted + row.partial),
    format.count(row.rejected),
    ...weighed.map((name) => weight(row.weights?.[name])),
  ]);
  fill(table, ["Team", "Members", "Saved", "Taken", "Dismissed", ...weighed], rows, "No team has taken anything yet.");
}

/** A number around 1 with a bar that leans to the right above it and to the left below. */
export function weight(value) {
  if (value === null || value === undefined) return format.UNKNOWN;
  const leaning = Math.log(value) / Math.log(LARGEST_WEIGHT);
  return element(
    "span",
    { class: "with-bar" },
    value.toFixed(2),
    meter(Math.abs(leaning), { class: leaning < 0 ? "meter leaning less" : "meter leaning" }),
  );
}

function withBar(text, part) {
  return element("span", { class: "with-bar" }, text, meter(part));
}

function fill(table, heads, rows, empty) {
  const head = element("thead", {}, element("tr", {}, ...heads.map((label) => element("th", { scope: "col" }, label))));
  const cells = (row) =>
    row.map((cell, at) => element(at === 0 ? "th" : "td", { scope: at === 0 ? "row" : null, "data-label": heads[at] }, cell));
  const nothing = () => element("tr", { class: "nothing" }, element("td", { colspan: heads.length }, empty));
  const body = element("tbody", {}, ...(rows.length > 0 ? rows.map((row) => element("tr", {}, ...cells(row))) : [nothing()]));
  table.replaceChildren(head, body);
}
