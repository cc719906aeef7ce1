// node --test: what becomes of a suggestion as the writer types, takes or skips parts of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  composesWord,
  countCharacters,
  endInBlocks,
  firstCharacters,
  lastCharacters,
  nextWord,
  remaining,
  swallowsSpace,
  withoutLast,
} from "../../service/assets/suggestion.js";

test("typing what is suggested leaves the rest of it", () => {
  assert.equal(remaining("I can he", "lp you. ", "I can he"), "lp you. ");
  assert.equal(remaining("I can he", "lp you. ", "I can help y"), "ou. ");
});

test("going back over what was typed through brings it back", () => {
  assert.equal(remaining("I can he", "lp you", "I can hel"), "p you");
  assert.equal(remaining("I can he", "lp you", "I can h"), null);
});

test("typing something else, or all of it, leaves nothing", () => {
  assert.equal(remaining("I can he", "lp you", "I can hea"), null);
  assert.equal(remaining("I can he", "lp you", "I can help you"), null);
  assert.equal(remaining("I can he", "lp you", "I can help you all"), null);
});

test("what replaces a mistyped word is whole until it is taken or typed again from its start", () => {
  assert.equal(remaining("I recie", "receive ", "I recie", 5), "receive ");
  assert.equal(remaining("I recie", "receive ", "I reciev", 5), null);
  assert.equal(remaining("I recie", "receive ", "I rec", 5), "eive ");
  assert.equal(remaining("I recie", "receive it ", "I receive ", 5), "it ");
  assert.equal(remaining("I recie", "receive ", "I", 5), null);
  assert.equal(withoutLast("naïve 😀x", 2), "naïve ");
  assert.equal(withoutLast("naïve", 0), "naïve");
});

test("a lone space is no suggestion", () => {
  assert.equal(remaining("I can he", "lp ", "I can help"), null);
});

test("one word goes with the spaces before it and one after it", () => {
  assert.equal(nextWord("lp you with that. "), "lp ");
  assert.equal(nextWord(" you with"), " you ");
  assert.equal(nextWord("that."), "that.");
  assert.equal(nextWord("\nBest regards"), "\nBest ");
  assert.equal(nextWord("a  b"), "a ");
});

test("words taken one by one add up to the suggestion", () => {
  for (const whole of ["lp you with that. ", " über 1,000 €, nicht?", "a  b   c", "naïve 😀 end"]) {
    let taken = "";
    for (let rest = whole; rest; rest = whole.slice(taken.length)) taken += nextWord(rest);
    assert.equal(taken, whole);
  }
});

test("closing punctuation swallows the surplus space, opening punctuation and letters do not", () => {
  for (const mark of ".,;:!?)") assert.equal(swallowsSpace(mark), true, mark);
  for (const other of ["a", "(", "-", "'", "..", ""]) assert.equal(swallowsSpace(other), false, other);
});

test("a Latin word at the end is composed as it is typed, syllables are not", () => {
  for (const word of ["", "h", "naïve", "don't", "tiếng", "e\u0301"]) assert.equal(composesWord(`I can ${word}`, word), true, word);
  for (const held of ["に", "ｋ", "한", "ㄋ", "ni hao", "´", "при"]) assert.equal(composesWord(`I can ${held}`, held), false, held);
  assert.equal(composesWord("I can", "canned"), false, "the cursor is inside");
  assert.equal(composesWord("你好 ni", "ni"), false);
});

test("characters are Unicode scalar values, and none is ever cut in half", () => {
  assert.equal(countCharacters("a😀é"), 3);
  assert.equal(lastCharacters("x😀😀😀", 2), "😀😀");
  assert.equal(lastCharacters("short", 10), "short");
  assert.equal(lastCharacters("a".repeat(5000), 4096).length, 4096);
  assert.equal(firstCharacters("😀😀😀x", 2), "😀😀");
  for (let count = 0; count < 6; count += 1) {
    assert.ok(lastCharacters("a😀b😀c", count).isWellFormed?.() ?? true);
    assert.equal(countCharacters(lastCharacters("a😀b😀c", count)), Math.min(count, 5));
  }
});

test("a long text loses its beginning in blocks", () => {
  const text = (count) => Array.from({ length: count }, (_, n) => String.fromCodePoint(0x1f600 + (n % 26))).join("");
  assert.equal(endInBlocks(text(40), 40, 10), text(40));
  for (const more of [1, 2, 10]) assert.equal(endInBlocks(text(40 + more), 40, 10), lastCharacters(text(40 + more), 30 + more));
  assert.equal(countCharacters(endInBlocks(text(51), 40, 10)), 31);
});
