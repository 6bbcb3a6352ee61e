// The schema browser: types, fields, arguments and what each is for, all clickable.

import { make } from "./elements.js";
import { namedType, printType } from "./schema.js";
import { word } from "./words.js";

export class Browser {
  /** `insert(root, field)` puts a call of a root field into the editor. */
  constructor(panel, insert) {
    this.panel = panel;
    this.insert = insert;
    this.schema = undefined;
    this.trail = [];
  }

  show(schema) {
    this.schema = schema;
    this.render();
  }

  render() {
    if (this.schema === undefined) return;
    if (!this.schema) return this.panel.replaceChildren(make("p", {}, word("noSchema")));
    const search = make("input", { type: "search", placeholder: word("search"), "aria-label": word("search") });
    const body = make("div");
    search.addEventListener("input", () => body.replaceChildren(...(search.value.trim() ? this.found(search.value.trim()) : this.page())));
    body.append(...this.page());
    this.panel.replaceChildren(search, body);
  }

  open(name) {
    this.trail = this.trail.includes(name) ? this.trail.slice(0, this.trail.indexOf(name) + 1) : [...this.trail, name];
    this.render();
    this.panel.scrollTop = 0;
    this.panel.querySelector("h3")?.focus();
  }

  page() {
    const name = this.trail.at(-1);
    return name ? this.typePage(this.schema.types.get(name)) : this.roots();
  }

  roots() {
    const { query, mutation, types } = this.schema;
    const rest = [...types.values()].filter(({ name, kind }) => name !== query && name !== mutation && kind !== "SCALAR");
    return [
      ...[query, mutation].filter(Boolean).flatMap((root) => this.typeBody(types.get(root))),
      make("h3", {}, word("types")),
      make("ul", { class: "types" }, ...rest.map(({ name }) => make("li", { class: "signature" }, this.typeLink(name)))),
    ];
  }

  typePage(type) {
    const home = make("button", { type: "button", class: "link", onclick: () => ((this.trail = []), this.render()) }, word("usedIn"));
    const crumbs = this.trail.slice(0, -1).slice(-3).flatMap((name) => ["›", this.typeLink(name)]);
    return [make("nav", { class: "crumbs" }, home, ...crumbs), ...this.typeBody(type)];
  }

  typeBody(type) {
    const links = (title, names) =>
      names?.length ? make("p", { class: "signature" }, `${title} `, ...names.flatMap(({ name }, place) => [place ? " | " : "", this.typeLink(name)])) : null;
    const rows = [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])];
    return [
      make("h3", { tabindex: "-1" }, type.name),
      type.description ? make("p", {}, type.description) : null,
      links(word("implements"), type.interfaces),
      links(word("members"), type.possibleTypes),
      make("ul", { class: "fields" }, ...rows.map((field) => this.row(type, field))),
    ].filter(Boolean);
  }

  row(type, field) {
    const isRoot = type.name === this.schema.query || type.name === this.schema.mutation;
    const insert = () => this.insert(type.name, field);
    const said = [field.description, field.isDeprecated ? `${word("deprecated")}: ${field.deprecationReason}` : null].filter(Boolean);
    return make(
      "li",
      { class: field.isDeprecated ? "deprecated" : null },
      make(
        "div",
        { class: "signature" },
        isRoot ? make("button", { type: "button", class: "insert", onclick: insert, "aria-label": `${word("insert")} ${field.name}` }, word("insert")) : null,
        make("b", {}, field.name),
        ...this.args(field.args ?? []),
        ...(field.type ? [": ", this.typeLink(namedType(field.type), printType(field.type))] : []),
        field.defaultValue != null ? ` = ${field.defaultValue}` : null,
      ),
      said.length ? make("p", {}, said.join(" ")) : null,
    );
  }

  args(list) {
    if (!list.length) return [];
    const shown = list.flatMap((arg, place) => [
      place ? ", " : "",
      make("span", { title: arg.description }, arg.name),
      ": ",
      this.typeLink(namedType(arg.type), printType(arg.type)),
    ]);
    return ["(", ...shown, ")"];
  }

  typeLink(name, shown = name) {
    if (!this.schema.types.has(name)) return document.createTextNode(shown);
    return make("button", { type: "button", class: "link", onclick: () => this.open(name) }, shown);
  }

  found(text) {
    const hits = this.schema.find(text);
    if (!hits.length) return [make("p", {}, word("nothing"))];
    return [
      make(
        "ul",
        { class: "fields" },
        ...hits.map(({ type, field }) =>
          make(
            "li",
            {},
            make("div", { class: "signature" }, this.typeLink(type.name), field ? "." : null, field ? make("b", {}, field.name) : null),
            make("p", {}, (field ?? type).description ?? ""),
          ),
        ),
      ),
    ];
  }
}
