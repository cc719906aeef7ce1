// Runs in the page (execute_async_script). A textarea has no way to ask where its caret is, so each text is laid out a
// second time, alone, in a block with the textarea's own metrics; the ghost text must start where that one ends.

const done = arguments[arguments.length - 1];

const SENTENCE =
  "Thank you for waiting. The balance, after Tuesday's transfer of 1,250.75, is well-known to both sides; " +
  "antidisestablishmentarianism notwithstanding, we shall re-examine it.\nSecond line,  with two spaces. ";
const SUGGESTIONS = ["word", "lp you with that, and with everything else you may need today. ", " and a space first", ", then"];
const WIDTHS = [180, 317];

const report = { checked: 0, wrapped: 0, wrong: [] };

async function check() {
  const { GhostText } = await import("/assets/ghost-text.js");
  for (const width of WIDTHS) {
    for (const [number, suggestion] of SUGGESTIONS.entries()) {
      const host = document.createElement("div");
      host.style.width = `${width}px`;
      const box = document.createElement("textarea");
      host.append(box);
      document.body.append(host);
      const ghost = new GhostText(box, async () => ({ id: "1", suggestions: [{ text: suggestion }] }));
      box.focus();
      for (let length = 1 + number; length <= SENTENCE.length; length += 3) await compare(box, ghost, SENTENCE.slice(0, length), suggestion);
      ghost.detach();
      host.remove();
    }
  }
  done(report);
}

async function compare(box, ghost, text, suggestion) {
  box.value = text;
  box.setSelectionRange(text.length, text.length);
  const shown = new Promise((resolve) => ghost.addEventListener("answer", resolve, { once: true }));
  ghost.restart();
  await shown;

  const mirror = box.previousSibling;
  const alone = mirror.cloneNode(false);
  const words = document.createElement("span");
  words.textContent = text;
  const end = document.createElement("span");
  // A zero-width joiner has a place but allows no break before it.
  end.textContent = "\u2060";
  alone.append(words, end);
  box.parentNode.append(alone);
  const caret = end.getBoundingClientRect();
  const typedHeight = words.getBoundingClientRect().height;
  alone.remove();

  const first = firstCharacter(mirror.querySelector(".ghost-text-suggestion"));
  const sameLine = Math.abs(first.top - caret.top) < 1 && Math.abs(first.left - caret.left) < 1;
  // Where the suggestion does not fit behind the caret, it begins the next line: fine, as long as the words stayed.
  const nextLine = first.top > caret.top + 1 && Math.abs(first.left - mirror.getBoundingClientRect().left - padding(mirror)) < 1;
  const wordsStayed = Math.abs(mirror.firstChild.getBoundingClientRect().height - typedHeight) < 1;
  // The textarea itself, at its natural height, must need as many lines as the words in the mirror.
  report.checked += 1;
  if (typedHeight > 40) report.wrapped += 1;
  if (ghost.text !== suggestion || !(sameLine || nextLine) || !wordsStayed || !sameHeight(box, alone)) {
    report.wrong.push({ text, suggestion, shown: ghost.text, sameLine, nextLine, wordsStayed, heights: sameHeight(box, alone) });
  }
}

/** Whether a textarea of this width needs the height that a mirror with the same words has. */
function sameHeight(box, alone) {
  const twin = box.cloneNode();
  twin.value = box.value;
  twin.rows = 1;
  const frame = document.createElement("div");
  frame.className = "ghost-text";
  frame.append(twin, alone);
  for (const each of [twin, alone]) {
    each.style.minHeight = "0";
    each.style.alignSelf = "start";
  }
  box.parentNode.parentNode.append(frame);
  twin.style.height = "0";
  const same = Math.abs(twin.scrollHeight - alone.getBoundingClientRect().height) < 2;
  frame.remove();
  return same;
}

function firstCharacter(node) {
  const range = document.createRange();
  range.setStart(node.firstChild, 0);
  range.setEnd(node.firstChild, 1);
  return range.getBoundingClientRect();
}

function padding(element) {
  return Number.parseFloat(getComputedStyle(element).paddingLeft);
}

check();
