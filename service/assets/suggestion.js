// What a suggestion becomes as the writer types, takes or skips parts of it. Text in, text out: no page here.

/** The last `count` characters (Unicode scalar values, as the service counts them) of `text`. */
export function lastCharacters(text, count) {
  // A character is one or two UTF-16 units, so this slice holds enough and the spread stays short.
  const characters = [...text.slice(Math.max(0, text.length - 2 * count))];
  return characters.slice(Math.max(0, characters.length - count)).join("");
}

/** The first `count` characters of `text`. */
export function firstCharacters(text, count) {
  return [...text.slice(0, 2 * count)].slice(0, count).join("");
}

/** How many characters `text` has, as the service counts them. */
export function countCharacters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The end of `text`: all of it, or `limit` characters less whole `blocks`, which begin at the same place for many keys. */
export function endInBlocks(text, limit, block) {
  const count = countCharacters(text);
  return lastCharacters(text, count - block * Math.ceil(Math.max(0, count - limit) / block));
}

/** `text` without its last `count` characters. */
export function withoutLast(text, count) {
  return text.slice(0, text.length - lastCharacters(text, count).length);
}

/**
 * What is left of `suggestion`, shown when the box held `anchor`, now that it holds `text`:
 * the rest of it when the writer typed what it says, null when they went elsewhere or finished it.
 *
 * One that replaces the last `replace` characters of the anchor is whole there; it is typed through by those who go
 * back to where it begins.
 */
export function remaining(anchor, suggestion, text, replace = 0) {
  if (replace > 0 && text === anchor) return suggestion;
  const before = withoutLast(anchor, replace);
  const whole = before + suggestion;
  if (text.length < before.length || text.length >= whole.length || !whole.startsWith(text)) return null;
  const rest = whole.slice(text.length);
  return rest.trim() === "" ? null : rest;
}

/**
 * Whether what an input method composes at the end of `draft` is a word typed as any other, as keyboards of touch screens compose
 * every word. Letters that stand for syllables are none: those of Japanese keyboards are wide, and before those of Chinese ones
 * stand signs, but for the first.
 */
export function composesWord(draft, composed) {
  const isLatin = /^[a-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff'’-]*$/iu.test(composed);
  const before = draft.slice(0, draft.length - composed.length);
  return isLatin && draft.endsWith(composed) && !/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(before);
}

/** The part one press of the accept-word key takes: a run of non-spaces, with the spaces before it and one after it. */
export function nextWord(suggestion) {
  return /^\s*\S+ ?/u.exec(suggestion)?.[0] ?? suggestion;
}

/**
 * Whether typing `typed` right after a taken suggestion should first swallow the space it ended with:
 * "with that " and then "." is meant to be "with that.".
 */
export function swallowsSpace(typed) {
  return /^[.,;:!?)\]}]$/u.test(typed);
}
