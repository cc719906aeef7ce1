// The hold-out: a switch, the share, and what came of it.

import { setHoldout } from "./api.js";
import { byId, element, say } from "./dom.js";
import * as format from "./format.js";
import { holdoutSentence } from "./verdicts.js";

const SHARES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
/** Enough to learn something within days, few enough to cost little. */
const USUAL = 0.05;

const on = byId("holdout-on");
const choice = byId("holdout-share");
/** While a change is on its way, what the service last said is old. */
let changing = false;
let known = 0;

byId("holdout").addEventListener("submit", (event) => event.preventDefault());
on.addEventListener("change", change);
choice.addEventListener("change", () => on.checked && change());
offer(USUAL);

/** Shows what is set and what is known of its effect. */
export function showHoldout(holdout) {
  say(byId("holdout-result"), holdoutSentence(holdout));
  if (changing || document.activeElement === choice) return;
  known = holdout.share;
  on.checked = known > 0;
  if (known > 0 && Number(choice.value) !== known) offer(known);
}

async function change() {
  changing = true;
  const wanted = on.checked ? Number(choice.value) : 0;
  try {
    const { share } = await setHoldout(wanted);
    say(
      byId("holdout-notice"),
      share > 0 ? `${format.share(share)} of sessions get no suggestions.` : "Every session gets suggestions.",
    );
  } catch (error) {
    on.checked = known > 0;
    say(byId("holdout-notice"), `Not changed. ${error.message}`);
  } finally {
    changing = false;
  }
}

function offer(chosen) {
  const shares = [...new Set([...SHARES, chosen])].toSorted((one, other) => one - other);
  choice.replaceChildren(...shares.map((share) => element("option", { value: share, selected: share === chosen }, format.share(share))));
}
