// Ghost text in a <textarea>: a suggestion in grey at the cursor, taken with Tab, word by word, or typed through.
//
// A mirror with the same text lies under the transparent textarea. The words the writer typed are invisible in it; only
// the suggestion shows. A <wbr> between the two lets a line break there, so what was typed wraps as in the textarea,
// whatever follows. Both lie in one scrolling box and grow together: there is no scroll position to copy.

import { composesWord, countCharacters, lastCharacters, nextWord, remaining, swallowsSpace } from "./suggestion.js";

const isMac = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** The key that takes one word, in words, for hints. */
export const WORD_KEY = isMac ? "Option + →" : "Ctrl + →";
/** The key held with a digit to choose a suggestion, in words. */
export const CHOICE_KEY = isMac ? "Option" : "Alt";

/**
 * @typedef {{text: string, replace?: number, confidence: number, predictor: string, kind: string}} Suggestion
 * @typedef {{id: string, suggestions: Suggestion[]}} Answer
 * @typedef {{id: string, index: number, outcome: "accepted"|"partial"|"rejected", chars: number}} Outcome
 */

/**
 * Gives one textarea ghost text.
 *
 * Events, dispatched on the instance:
 * - `answer`: detail is the {@link Answer} that is current; its suggestions may be none.
 * - `show`: detail is `{text, replace, others}`, the ghost text now shown ("" for none), the characters before the cursor
 *   that taking it replaces, and the suggestions to choose from.
 * - `take`: detail is `{chars, keys}`, the characters one press added to the box.
 * - `outcome`: detail is an {@link Outcome} to report to the service.
 * - `failure`: detail is the error of a request that was neither answered nor superseded.
 */
export class GhostText extends EventTarget {
  #box;
  #frame;
  #typed;
  #ghost;
  #after;
  #complete;
  #listening = new AbortController();
  #sequence = 0;
  #request = null;
  /** The text before the cursor that the service was asked about last. */
  #askedAt = null;
  /** What an input method holds at the moment; null: nothing, and it is not at work. */
  #composed = null;
  /** What is on offer: the answer, the text it was for, which suggestion is shown, what was taken of it. */
  #offer = null;
  #shown = "";
  /** Where the last taken suggestion ended with a space that punctuation would swallow; -1: nowhere. */
  #surplusSpace = -1;
  /** Places and whole texts that were dismissed in this message. */
  #dismissed = new Set();

  /**
   * @param {HTMLTextAreaElement} box
   * @param {(draft: {text: string, after: string}, signal: AbortSignal, early: (answer: Answer) => void) => Promise<Answer>} complete
   *   asks the service; an answer that a better one follows goes to `early`
   */
  constructor(box, complete) {
    super();
    this.#box = box;
    this.#complete = complete;
    this.#build();
    const listen = (target, type, act) => target.addEventListener(type, act, { signal: this.#listening.signal });
    listen(box, "input", () => this.#onInput());
    listen(box, "beforeinput", (event) => this.#onBeforeInput(event));
    listen(box, "keydown", (event) => this.#onKey(event));
    listen(box, "compositionstart", () => this.#onCompositionStart());
    // The box has it when `input` comes.
    listen(box, "compositionupdate", ({ data }) => (this.#composed = data));
    listen(box, "compositionend", () => this.#onCompositionEnd());
    listen(box.ownerDocument, "selectionchange", () => this.#onSelection());
    this.#draw("");
  }

  /** The ghost text now shown; "" for none. */
  get text() {
    return this.#shown;
  }

  /** Forgets what was dismissed and asks anew: for a new message, or after the conversation or the writer changed. */
  restart() {
    this.#dismissed.clear();
    this.#surplusSpace = -1;
    this.#drop();
    this.#ask();
  }

  /** Empties the box and restarts. */
  clear() {
    this.#box.value = "";
    this.restart();
  }

  /** Takes the suggestion at `index` of those on offer, the shown one by default. @returns {boolean} whether there was one */
  accept(index = this.#offer?.index) {
    const rest = this.#rest(index);
    if (rest === null) return false;
    if (index !== this.#offer.index) this.#offer = { ...this.#offer, index, taken: 0 };
    this.#take(rest, rest);
    return true;
  }

  /** Takes the next word of the shown suggestion. @returns {boolean} whether there was one */
  acceptWord() {
    if (!this.#shown) return false;
    this.#take(nextWord(this.#shown), this.#shown);
    return true;
  }

  /** Hides the suggestion, tells the service it was unwanted, and stays silent here. @returns {boolean} whether one was shown */
  dismiss() {
    if (!this.#shown) return false;
    const { text } = this.#draft();
    this.#dismissed.add(text).add(text + this.#shown);
    this.#report("rejected", 0);
    this.#cancel();
    this.#drop();
    return true;
  }

  /** Leaves the textarea as it was found, with what was typed. */
  detach() {
    this.#listening.abort();
    this.#cancel();
    this.#frame.replaceWith(this.#box);
  }

  #build() {
    const element = (name, ...children) => {
      const made = this.#box.ownerDocument.createElement(name);
      made.append(...children);
      return made;
    };
    this.#typed = element("span");
    this.#ghost = element("span");
    this.#ghost.className = "ghost-text-suggestion";
    this.#after = element("span");
    const mirror = element("div", this.#typed, element("wbr"), this.#ghost, this.#after);
    mirror.className = "ghost-text-mirror";
    mirror.setAttribute("aria-hidden", "true");
    this.#frame = element("div");
    this.#frame.className = "ghost-text";
    this.#box.replaceWith(this.#frame);
    this.#frame.append(mirror, this.#box);
  }

  #draft() {
    const { value, selectionStart, selectionEnd } = this.#box;
    return { text: value.slice(0, selectionStart), after: value.slice(selectionEnd), collapsed: selectionStart === selectionEnd };
  }

  #onInput() {
    this.#refresh();
    this.#ask();
  }

  #onBeforeInput(event) {
    const { text, collapsed } = this.#draft();
    const surplus = collapsed && text.length === this.#surplusSpace;
    this.#surplusSpace = -1;
    if (surplus && event.inputType === "insertText" && swallowsSpace(event.data ?? "")) {
      event.preventDefault();
      this.#box.setSelectionRange(text.length - 1, text.length);
      this.#insert(event.data);
    }
  }

  #onKey(event) {
    if (this.#composed !== null || event.isComposing) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    const wordModifier = isMac ? event.altKey && !event.ctrlKey : event.ctrlKey && !event.altKey;
    let done = false;
    if (event.key === "Tab" && plain) done = this.accept();
    else if (event.key === "ArrowRight" && wordModifier && !event.shiftKey && !event.metaKey) done = this.acceptWord();
    else if (event.key === "Escape" && plain) done = this.dismiss();
    // The code, not the key: Option + digit types a symbol on a Mac.
    else if (event.altKey && !event.ctrlKey && !event.metaKey && /^Digit[1-9]$/.test(event.code)) done = this.accept(Number(event.code[5]) - 1);
    if (done) event.preventDefault();
  }

  #onCompositionStart() {
    this.#composed = "";
    if (!this.#isQuiet()) return;
    this.#drop();
    this.#ask();
  }

  #onCompositionEnd() {
    this.#composed = null;
    this.#look();
  }

  /**
   * Whether an input method is at work that has suggestions of its own. With the keys of a touch screen every word is composed, and
   * what is shown then can be tapped; elsewhere the key that takes it would be the input method's.
   */
  #isQuiet() {
    if (this.#composed === null) return false;
    return !matchMedia("(pointer: coarse)").matches || !composesWord(this.#draft().text, this.#composed);
  }

  /** The cursor moved without typing: what was shown belongs to another place. */
  #onSelection() {
    if (this.#box.ownerDocument.activeElement === this.#box && this.#composed === null) this.#look();
  }

  /** Asks unless that was asked already. */
  #look() {
    const { text, collapsed } = this.#draft();
    this.#refresh();
    if (collapsed && text !== this.#askedAt) this.#ask();
  }

  #cancel() {
    this.#sequence += 1;
    this.#request?.abort();
    this.#request = null;
  }

  async #ask() {
    this.#cancel();
    const { text, after, collapsed } = this.#draft();
    const open = collapsed && !this.#isQuiet();
    this.#askedAt = open ? text : null;
    if (!open || this.#dismissed.has(text)) return;
    const sequence = this.#sequence;
    this.#request = new AbortController();
    try {
      const early = (answer) => sequence === this.#sequence && this.#onAnswer(answer, text);
      const answer = await this.#complete({ text, after }, this.#request.signal, early);
      // Aborting is a request to stop, not a promise: an answer that raced it is stale all the same.
      if (sequence === this.#sequence) this.#onAnswer(answer, text);
    } catch (error) {
      if (sequence !== this.#sequence) return;
      this.#drop();
      this.#emit("failure", error);
    }
  }

  #onAnswer(answer, anchor) {
    const suggestions = answer.suggestions.filter(({ text }) => !this.#dismissed.has(anchor + text));
    this.#offer = suggestions.length > 0 ? { answer: { ...answer, suggestions }, all: answer.suggestions, anchor, index: 0, taken: 0 } : null;
    this.#emit("answer", answer);
    this.#refresh();
  }

  /** What is left of one suggestion on offer at the place the cursor is now. */
  #rest(index) {
    const suggestion = this.#offer?.answer.suggestions[index];
    const { text, collapsed } = this.#draft();
    if (!suggestion || !collapsed) return null;
    const rest = remaining(this.#offer.anchor, suggestion.text, text, suggestion.replace);
    return rest !== null && this.#dismissed.has(text + rest) ? null : rest;
  }

  /** The mistyped characters before the cursor that one suggestion on offer replaces; 0 once they are gone. */
  #replaces(index) {
    const suggestion = this.#offer?.answer.suggestions[index];
    return suggestion?.replace && this.#draft().text === this.#offer.anchor ? suggestion.replace : 0;
  }

  /** Shows what is left of the offer here; typing through keeps it without waiting for the service. */
  #refresh() {
    if (this.#offer && this.#rest(this.#offer.index) === null) {
      const other = this.#offer.answer.suggestions.findIndex((_, index) => this.#rest(index) !== null);
      if (other >= 0) this.#offer = { ...this.#offer, index: other, taken: 0 };
    }
    this.#draw(this.#offer && !this.#isQuiet() ? (this.#rest(this.#offer.index) ?? "") : "");
  }

  #drop() {
    this.#offer = null;
    this.#draw("");
  }

  #draw(ghost) {
    const { text, after } = this.#draft();
    setText(this.#typed, text);
    const replace = ghost ? this.#replaces(this.#offer.index) : 0;
    // What is replaced stays until it is taken, so the word that comes instead stands apart.
    setText(this.#ghost, replace > 0 ? ` → ${ghost}` : ghost);
    // A last empty line has no height of its own.
    setText(this.#after, `${after}\u200b`);
    this.#frame.classList.toggle("has-suggestion", ghost !== "");
    this.#ghost.classList.toggle("floating", after.trim() !== "");
    this.#shown = ghost;
    const others = this.#offer?.answer.suggestions
      .map((suggestion, index) => ({ ...suggestion, index, rest: this.#rest(index), replace: this.#replaces(index), shown: index === this.#offer.index }))
      .filter(({ rest }) => rest !== null);
    this.#emit("show", { text: ghost, replace, others: ghost ? others : [] });
  }

  /** Puts `text`, the first part of `rest`, into the box as if typed, so that undo takes it back. */
  #take(text, rest) {
    // An input method would go on with its word in front of what is inserted; without the focus it ends it.
    if (this.#composed !== null) this.#box.blur();
    const offer = this.#offer;
    const replace = this.#replaces(offer.index);
    offer.taken += countCharacters(text);
    this.#report(text === rest ? "accepted" : "partial", offer.taken);
    this.#emit("take", { chars: countCharacters(text) - replace, keys: 1 });
    this.#box.focus();
    if (replace > 0) {
      const cursor = this.#box.selectionStart;
      this.#box.setSelectionRange(cursor - lastCharacters(this.#draft().text, replace).length, cursor);
    }
    this.#insert(text);
    this.#surplusSpace = text.endsWith(" ") ? this.#box.selectionEnd : -1;
    this.#ghost.scrollIntoView?.({ block: "nearest" });
  }

  #insert(text) {
    // execCommand is the one way into the undo history; where it is gone, the text still arrives.
    const done = this.#box.ownerDocument.execCommand?.("insertText", false, text);
    if (done) return;
    this.#box.setRangeText(text, this.#box.selectionStart, this.#box.selectionEnd, "end");
    this.#box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }

  #report(outcome, chars) {
    const { answer, all, index } = this.#offer;
    this.#emit("outcome", { id: answer.id, index: all.indexOf(answer.suggestions[index]), outcome, chars });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Writing the same text again would cost a layout. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
