// Roles: which one asks, its sign-in, and its examples.

import { missing } from "./blanks.js";
import { make, roving } from "./elements.js";
import { isChinese, word } from "./words.js";

export class Roles {
  /** `take(example)` puts an example into the editors. */
  constructor(panel, list, sessions, take) {
    Object.assign(this, { panel, list, sessions, take, roles: [], chosen: null, example: null, said: null });
  }

  show(roles) {
    this.roles = roles;
    this.chosen = roles[0];
    this.render();
  }

  choose(role) {
    this.chosen = role;
    this.said = null;
    this.render();
    this.panel.querySelector('[aria-checked="true"]').focus();
  }

  render() {
    if (!this.chosen) return;
    const chips = make("div", { class: "chips", role: "radiogroup", "aria-label": word("role") }, ...this.roles.map((role) => this.chip(role)));
    roving(chips, (button) => this.choose(this.roles.find(({ name }) => name === button.dataset.role)));
    this.panel.replaceChildren(chips, ...this.door());
    this.renderExamples();
  }

  chip(role) {
    const isChosen = role === this.chosen;
    const name = isChinese() ? role.zh : role.en;
    return make(
      "button",
      {
        type: "button",
        role: "radio",
        "aria-checked": String(isChosen),
        tabindex: isChosen ? "0" : "-1",
        class: this.sessions.of(role.name) ? "in" : null,
        "data-role": role.name,
        title: isChinese() ? role.en : role.zh,
        onclick: () => this.choose(role),
      },
      name,
    );
  }

  door() {
    const said = (text, style = "") => make("p", { class: `said ${style}`, role: "status" }, text);
    if (this.chosen.anyone) return [said(word("anyone"))];
    const session = this.sessions.of(this.chosen.name);
    if (session) {
      const leave = make("button", { type: "button", onclick: () => this.leave() }, word("signOut"));
      return [make("div", { class: "bar" }, make("span", { class: "hint" }, `${word("signedInAs")} ${session.name}`), leave), said(word("kept"))];
    }
    const field = (name, type, value, autocomplete) =>
      make("input", { name, type, value, autocomplete, required: true, placeholder: word(name), "aria-label": word(name), autocapitalize: "off" });
    const form = make(
      "form",
      { class: "sign-in" },
      field("userName", "text", this.chosen.userName ?? "", "username"),
      field("password", "password", "", "current-password"),
      make("button", { class: "primary" }, word("signIn")),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter(form);
    });
    return [form, said(this.said ?? "", this.said ? "bad" : "")];
  }

  async enter(form) {
    const role = this.chosen;
    const { userName, password } = Object.fromEntries(new FormData(form));
    form.querySelector("button").disabled = true;
    const refusal = await this.sessions.signIn(role.name, userName, password);
    role.userName = userName;
    this.said = refusal ? ((isChinese() ? refusal.messageZh : refusal.message) ?? word("unreachable")) : null;
    this.render();
    this.panel.querySelector(refusal ? "input[type=password]" : '[aria-checked="true"]').focus();
  }

  async leave() {
    await this.sessions.signOut(this.chosen.name);
    this.render();
    this.panel.querySelector("input")?.focus();
  }

  /** Say that the session ended, where the server said so. */
  ended() {
    this.sessions.held.delete(this.chosen.name);
    this.said = word("ended");
    this.render();
  }

  renderExamples() {
    const { examples } = this.chosen;
    if (!examples.length) return this.list.replaceChildren(make("p", { class: "hint" }, word("noExamples")));
    this.list.replaceChildren(make("ul", { class: "examples" }, ...examples.map((example) => make("li", {}, this.row(example)))));
  }

  row(example) {
    const needed = missing(example.variables);
    return make(
      "button",
      { type: "button", "aria-current": example === this.example ? "true" : null, onclick: () => this.pick(example) },
      make("strong", {}, isChinese() ? example.titleZh : example.title),
      make("span", {}, isChinese() ? example.aboutZh : example.about),
      needed.length ? make("span", { class: "bad" }, `${word("needs")} ${needed.join(", ")}`) : null,
    );
  }

  pick(example) {
    this.example = example;
    this.take(example);
    this.renderExamples();
  }
}
