// The page as a whole: asks the server, and brings editors, roles, examples, schema and answer together.

import { fill, missing, notice } from "./blanks.js";
import { Browser } from "./browser.js";
import { Completion } from "./completion.js";
import { Editor } from "./editor.js";
import { make, roving } from "./elements.js";
import { Roles } from "./roles.js";
import { load, skeleton } from "./schema.js";
import { Sessions } from "./sessions.js";
import { coloured, graphqlTokens } from "./tokens.js";
import { fillWords, remember, remembered, switchLanguage, word } from "./words.js";

const ENDPOINT = "/graphql";
const LARGEST_COLOURED = 200_000;
const at = (id) => document.getElementById(id);

const operation = new Editor(at("operation-editor"), "graphql");
const variables = new Editor(at("variables-editor"), "json");
const completion = new Completion(operation);
const sessions = new Sessions(ask);
const roles = new Roles(at("roles"), at("examples"), sessions, take);
const browser = new Browser(at("schema"), (root, field) => take(skeleton(completion.schema, root, field)));
let answered = ""; // the answer's text
let state = () => ""; // what is said of it, in the language of the moment

/** Send one operation. Answers {status, body, text, milliseconds, number}, with status 0 where nothing came back. */
async function ask(payload, token) {
  const started = performance.now();
  const headers = { "Content-Type": "application/json", Accept: "application/graphql-response+json, application/json;q=0.9" };
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const response = await fetch(ENDPOINT, { method: "POST", headers, body: JSON.stringify(payload) });
    const text = await response.text();
    const milliseconds = performance.now() - started;
    return { status: response.status, text, body: parsed(text), milliseconds, number: response.headers.get("X-Request-Id") };
  } catch {
    return { status: 0, text: "", body: null, milliseconds: performance.now() - started };
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function take(example) {
  operation.value = example.operation;
  variables.value = fill(example.variables);
  checkVariables();
  at("operation").focus();
}

function checkVariables() {
  const text = variables.value.trim();
  const needed = missing(text);
  const isBad = text && parsed(text) === null;
  const state = at("variables-state");
  state.textContent = isBad ? word("badJson") : needed.length ? `${word("needs")} ${needed.join(", ")}` : "";
  state.classList.toggle("bad", Boolean(isBad));
  return !isBad;
}

async function run() {
  if (at("run").disabled || !checkVariables()) return;
  const text = fill(variables.value.trim());
  const names = operationNames();
  const payload = { query: operation.value, variables: text ? parsed(text) : {} };
  if (names.length > 1) payload.operationName = at("which").value;
  at("run").disabled = true;
  say(() => word("running"));
  const role = roles.chosen?.name;
  const answer = await ask(payload, await sessions.token(role));
  at("run").disabled = false;
  show(answer);
  if (answer.body?.errors?.some(({ extensions }) => extensions?.nextStep === "SIGN_IN_AGAIN") && sessions.of(role)) roles.ended();
  else roles.renderExamples();
}

function show({ status, text, body, milliseconds, number }) {
  if (!status) return say(() => word("unreachable"), "bad");
  notice(text);
  answered = body ? JSON.stringify(body, null, 2) : text;
  at("result").replaceChildren(answered.length < LARGEST_COLOURED ? coloured(answered, "json") : answered);
  linkAddresses();
  at("result").scrollTop = 0;
  at("copy").hidden = false;
  const bytes = new Blob([text]).size;
  const size = bytes < 10_000 ? `${bytes} B` : `${Math.round(bytes / 1024)} KiB`;
  const figures = `${status} · ${Math.round(milliseconds)} ms · ${size}`;
  say(() => `${figures} · ${word("quote")} ${number}`, body?.errors || status >= 400 ? "bad" : "good");
}

function say(words, style = "") {
  state = words;
  at("answer-state").textContent = state();
  at("answer-state").className = `hint ${style}`;
}

/** Addresses in the answer, such as links to photos, become links. */
function linkAddresses() {
  for (const piece of at("result").querySelectorAll(".string")) {
    const address = parsed(piece.textContent);
    if (typeof address !== "string" || !/^https?:\/\//.test(address)) continue;
    piece.replaceChildren('"', make("a", { href: address, target: "_blank", rel: "noreferrer noopener" }, address), '"');
  }
}

/** Names of the operations in the editor: with several, one must be chosen. */
function operationNames() {
  const names = [];
  let depth = 0;
  let previous = "";
  for (const { text } of graphqlTokens(operation.value)) {
    if (text === "{") depth++;
    else if (text === "}") depth--;
    else if (!depth && /^(query|mutation)$/.test(previous) && /^\w+$/.test(text)) names.push(text);
    previous = text;
  }
  return names;
}

function offerNames() {
  const names = operationNames();
  const { value } = at("which");
  at("which-label").hidden = names.length < 2;
  at("which").replaceChildren(...names.map((name) => make("option", { selected: name === value }, name)));
}

function turnTo(tab) {
  for (const each of document.querySelectorAll("[role=tab]")) {
    const isChosen = each === tab;
    each.setAttribute("aria-selected", isChosen);
    each.tabIndex = isChosen ? 0 : -1;
    at(each.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

function paintTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = remembered("theme") ?? system;
}

function speak() {
  fillWords();
  at("language").textContent = word("other");
  if (!answered) at("result").textContent = word("waiting");
  at("answer-state").textContent = state();
  roles.render();
  browser.render();
  checkVariables();
}

at("run").addEventListener("click", run);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  run();
});
for (const name of ["input", "set"]) {
  at("operation").addEventListener(name, offerNames);
  at("variables").addEventListener(name, checkVariables);
}
for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => turnTo(tab));
roving(document.querySelector("[role=tablist]"), (tab) => (turnTo(tab), tab.focus()));
at("language").addEventListener("click", () => (switchLanguage(), speak()));
at("theme").addEventListener("click", () => {
  remember("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  paintTheme();
});
at("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(answered);
  say(() => word("copied"));
});

paintTheme();
speak();
const manifest = await (await fetch(`${ENDPOINT}/explorer/examples.json`)).json();
sessions.operations = manifest.operations;
roles.show(manifest.roles);
const [first] = manifest.roles[0].examples;
if (first) roles.pick(first);
completion.schema = await load(ask);
browser.show(completion.schema);
