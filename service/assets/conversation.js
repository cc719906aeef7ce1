// The conversation above the text box: turns with a role and a text, as the service takes them for context.

/** The service refuses bodies over 64 KiB; older turns would be left out by it anyway. */
const CONTEXT_CHARACTERS = 8000;
const CONTEXT_TURNS = 40;

/** Keeps the turns and shows them in a list. */
export class Conversation {
  #turns = [];
  #list;

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
  }

  get empty() {
    return this.#turns.length === 0;
  }

  /** The newest turns that fit into a request, oldest first. */
  context() {
    const kept = [];
    let characters = 0;
    for (const turn of this.#turns.slice(-CONTEXT_TURNS).reverse()) {
      characters += turn.text.length;
      if (characters > CONTEXT_CHARACTERS) break;
      kept.push(turn);
    }
    return kept.reverse();
  }

  /** @param {"agent"|"author"|"customer"} role */
  add(role, text) {
    this.#turns.push({ role, text });
    const item = document.createElement("li");
    item.dataset.role = role;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = role;
    const said = document.createElement("p");
    said.textContent = text;
    item.append(who, said);
    this.#list.append(item);
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  clear() {
    this.#turns = [];
    this.#list.replaceChildren();
  }
}
