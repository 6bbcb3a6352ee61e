// An editor: a plain text area, which every keyboard and screen reader knows, above a coloured copy of its text.

import { coloured } from "./tokens.js";

const LARGEST_COLOURED = 60_000;

export class Editor {
  constructor(root, language) {
    this.root = root;
    this.area = root.querySelector("textarea");
    this.copy = root.querySelector("pre");
    this.language = language;
    this.area.addEventListener("input", () => this.paint());
    this.area.addEventListener("scroll", () => this.follow());
    this.area.addEventListener("keydown", (event) => this.indent(event));
  }

  get value() {
    return this.area.value;
  }

  set value(text) {
    this.area.value = text;
    this.area.scrollTop = 0;
    this.paint();
    this.area.dispatchEvent(new Event("set"));
  }

  paint() {
    const text = this.area.value;
    // The last line needs something on it, else the copy is a line shorter than the text area.
    this.copy.replaceChildren(text.length < LARGEST_COLOURED ? coloured(text, this.language) : text, "\n ");
    this.follow();
  }

  follow() {
    this.copy.scrollTop = this.area.scrollTop;
    this.copy.scrollLeft = this.area.scrollLeft;
  }

  /** A new line begins as deep as the one above, and deeper after an opening bracket. Tab stays what it is: the way out. */
  indent(event) {
    if (event.key !== "Enter" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.isComposing) return;
    const before = this.value.slice(0, this.area.selectionStart);
    const line = before.slice(before.lastIndexOf("\n") + 1);
    const indentation = line.match(/^\s*/)[0] + (/[{([]\s*$/.test(line) ? "  " : "");
    if (!indentation) return;
    event.preventDefault();
    this.insert(`\n${indentation}`);
  }

  /** Put `text` in place of the selection and of `back` characters before it, as typing does: undo takes it back. */
  insert(text, back = 0) {
    this.area.focus();
    this.area.setSelectionRange(this.area.selectionStart - back, this.area.selectionEnd);
    if (!document.execCommand("insertText", false, text)) this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
    this.paint();
  }

  /** Where the character at `place` stands, in pixels from the editor's corner. */
  position(place) {
    const mark = document.createElement("span");
    const walker = document.createTreeWalker(this.copy, NodeFilter.SHOW_TEXT);
    let rest = place;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (rest <= node.length) {
        const range = document.createRange();
        range.setStart(node, rest);
        range.insertNode(mark);
        break;
      }
      rest -= node.length;
    }
    const [from, at] = [this.root.getBoundingClientRect(), mark.getBoundingClientRect()];
    mark.remove();
    this.copy.normalize();
    return { left: at.left - from.left, top: at.bottom - from.top };
  }
}
