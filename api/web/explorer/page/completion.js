// Completion in the operation: the fields that fit where the caret stands, by a walk over the tokens before it.

import { make } from "./elements.js";
import { printType } from "./schema.js";
import { graphqlTokens } from "./tokens.js";

/** The type whose fields may stand at `place`, and the part of a name that stands there already. */
export function situation(text, place, schema) {
  const before = text.slice(0, place);
  const [prefix] = before.match(/[A-Za-z_]\w*$/) ?? [""];
  const open = [];
  let parentheses = 0;
  let coming = schema.query; // type of the next selection set
  let previous = "";
  for (const { kind, text: token } of graphqlTokens(before.slice(0, before.length - prefix.length))) {
    if (kind === "comment") continue;
    if (token === "(") parentheses++;
    else if (token === ")") parentheses--;
    else if (parentheses > 0) continue;
    else if (token === "{") open.push(coming);
    else if (token === "}") coming = open.pop();
    else if (previous === "on") coming = token;
    else if (token === "...") coming = open.at(-1);
    else if (kind === "word" && !open.length) coming = { mutation: schema.mutation, query: schema.query }[token] ?? coming;
    else if (kind === "word" && token !== "on" && previous !== "...") coming = schema.fieldType(open.at(-1), token);
    previous = token;
  }
  return { type: parentheses > 0 ? undefined : open.at(-1), prefix };
}

export class Completion {
  constructor(editor) {
    this.editor = editor;
    this.schema = null;
    this.list = make("ul", { class: "completions", role: "listbox", id: "completions", hidden: true });
    editor.root.append(this.list);
    editor.area.setAttribute("aria-controls", "completions");
    editor.area.addEventListener("keydown", (event) => this.key(event), { capture: true });
    editor.area.addEventListener("input", () => this.open(false));
    editor.area.addEventListener("blur", () => this.close());
    editor.area.addEventListener("scroll", () => this.close());
  }

  /** Offer what fits; unless `asked` for, only once a name has begun. */
  open(asked) {
    if (!this.schema) return;
    const { area } = this.editor;
    const { type, prefix } = situation(area.value, area.selectionStart, this.schema);
    const wanted = prefix.toLowerCase();
    const fields = type && (asked || prefix) ? this.schema.fields(type) : [];
    const fitting = fields.filter(({ name }) => name.toLowerCase().startsWith(wanted) && name !== prefix);
    if (!fitting.length) return this.close();
    this.prefix = prefix;
    this.list.replaceChildren(
      ...fitting.map((field) =>
        make(
          "li",
          { role: "option", title: field.description, onmousedown: (event) => (event.preventDefault(), this.take(field.name)) },
          field.name,
          make("span", {}, printType(field.type)),
        ),
      ),
    );
    this.list.hidden = false;
    const { left, top } = this.editor.position(area.selectionStart - prefix.length);
    const { clientWidth, clientHeight } = this.editor.root;
    this.list.style.left = `${Math.max(0, Math.min(left, clientWidth - this.list.offsetWidth - 8))}px`;
    const above = top + this.list.offsetHeight > clientHeight && top > clientHeight / 2;
    this.list.style.top = above ? `${Math.max(0, top - this.list.offsetHeight - 22)}px` : `${top + 2}px`;
    this.choose(0);
  }

  close() {
    this.list.hidden = true;
  }

  choose(place) {
    const items = [...this.list.children];
    this.place = (place + items.length) % items.length;
    items.forEach((item, index) => item.setAttribute("aria-selected", index === this.place));
    items[this.place].scrollIntoView({ block: "nearest" });
  }

  take(name) {
    this.editor.insert(name, this.prefix.length);
    this.close();
  }

  key(event) {
    if (event.code === "Space" && event.ctrlKey) {
      event.preventDefault();
      return this.open(true);
    }
    if (this.list.hidden || event.ctrlKey || event.metaKey || event.isComposing) return;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) this.choose(this.place + moves[event.key]);
    else if (event.key === "Enter") this.take(this.list.children[this.place].firstChild.textContent);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
