// Elements, made without markup: nothing that the service says is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes (`class`, `data-…`, `aria-…`; null leaves one out) and children, strings or nodes. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** Sets a text only if it is another: a screen reader speaks a live region again, whatever was written to it. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A bar as long as a share of 0 to 1. Set through the object model: the content security policy allows no style attributes. */
export function meter(part, attributes = {}) {
  const bar = element("span", { class: "meter", "aria-hidden": "true", ...attributes });
  bar.style.setProperty("--share", String(Math.max(0, Math.min(1, part || 0))));
  return bar;
}

/** The rows of a list of terms: `[term, description]`. */
export function terms(rows) {
  return rows.map(([term, description]) => element("div", {}, element("dt", {}, term), element("dd", {}, description)));
}
