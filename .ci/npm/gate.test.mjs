// Check the contract with independent tools: graphql-inspector, graphql-eslint and relay-compiler.
// A planted fault proves that each check can fail.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { CriticalityLevel, diff, validate } from "@graphql-inspector/core";
import { ESLint } from "eslint";
import { buildSchema, Source } from "graphql";

import { contract, levels, operations, retired, root, text } from "./contract.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const sdl = text("schema.graphql");

/** Return the changes that break phones of the oldest supported level. A breaking level supports only itself. */
async function breaking(oldest, now) {
  const changes = await diff(buildSchema(oldest), buildSchema(now));
  return changes.filter((change) => change.criticality.level === CriticalityLevel.Breaking).map((change) => change.message);
}

test("graphql-inspector finds nothing that breaks phones of a supported level", async () => {
  assert.deepEqual(await breaking(text("oldest.graphql"), sdl), []);
});

test("graphql-inspector finds a field, a value and a default that are taken away", async () => {
  for (const [was, is] of [
    ["  placement: Placement!", "  place: Placement!"],
    ["  REFUSED\n", "  TURNED_DOWN\n"],
    ["note: String = null", "note: String!"],
    ["  receivedAt: DateTime!", "  receivedAt: DateTime"],
  ]) {
    assert.ok(sdl.includes(was), was);
    assert.ok((await breaking(sdl, sdl.replace(was, is))).length > 0, was);
  }
});

const documents = (all) => all.map(({ name, text }) => new Source(text, name));
const faults = (found) => found.flatMap(({ source, errors }) => errors.map(({ message }) => `${source.name}: ${message}`));

test("graphql-inspector holds the operations, and those that phones of supported levels still send, valid", () => {
  const sent = retired
    .filter(({ level }) => level >= levels.oldest)
    .map(({ name, level, body }) => ({ name: `${name} of level ${level}`, text: body }));
  assert.deepEqual(faults(validate(buildSchema(sdl), documents([...operations, ...sent]))), []);
  assert.notDeepEqual(faults(validate(buildSchema(sdl.replace("  signed: String!", "  seal: String!")), documents(operations))), []);
});

/** Return the faults that graphql-eslint finds in `text`, as if it were that file of the contract. */
async function lint(file, source) {
  const eslint = new ESLint({ cwd: root, overrideConfigFile: here("eslint.config.mjs") });
  const [{ messages }] = await eslint.lintText(source, { filePath: contract + file });
  return messages.map(({ ruleId, line, message }) => `${file}:${line} ${ruleId ?? ""} ${message}`);
}

test("graphql-eslint finds nothing in the SDL and the operations", async () => {
  const eslint = new ESLint({ cwd: root, overrideConfigFile: here("eslint.config.mjs") });
  const results = await eslint.lintFiles(["mobile_contract/schema.graphql", "mobile_contract/operations/*.graphql"]);
  assert.equal(results.length, operations.length + 1);
  assert.equal((await eslint.loadFormatter("stylish")).format(results), "");
});

test("graphql-eslint finds planted faults", async () => {
  const { text: units } = operations.find(({ name }) => name === "Units");
  const planted = [
    ["operations/Units.graphql", units.replace(/^( +)id\n/m, ""), "require-selections"],
    ["operations/Units.graphql", units.replace("query Units", "query GetUnits"), "naming-convention"],
    ["operations/Units.graphql", units.replace("$below: ID, ", "$below: ID, $unused: ID, "), "no-unused-variables"],
    ["schema.graphql", sdl.replace('"""A record with an id."""\n', ""), "require-description"],
    ["schema.graphql", sdl.replace("  pageInfo: PageInfo!", "  page: PageInfo!"), "relay-connection-types"],
  ];
  for (const [file, source, rule] of planted) {
    const found = await lint(file, source);
    assert.ok(found.some((fault) => fault.includes(`@graphql-eslint/${rule}`)), `${rule}: ${found.join("\n")}`);
  }
});

/** Run relay-compiler on modules of operations. Return the names of the files that it made, or its error output. */
async function relay(named) {
  const folder = mkdtempSync(`${tmpdir()}/relay-`); // not in the repository: relay-compiler would `git add` what it makes
  try {
    mkdirSync(`${folder}/src`);
    mkdirSync(`${folder}/made`);
    writeFileSync(`${folder}/schema.graphql`, sdl);
    const config = { src: "src", schema: "schema.graphql", artifactDirectory: "made", language: "typescript" };
    const customScalarTypes = { ByteCount: "number", Date: "string", DateTime: "string" };
    writeFileSync(`${folder}/relay.config.json`, JSON.stringify({ ...config, customScalarTypes }));
    for (const { name, text } of named) writeFileSync(`${folder}/src/${name}.ts`, module(text));
    await promisify(execFile)(here("node_modules/.bin/relay-compiler"), ["relay.config.json"], { cwd: folder, timeout: 60_000 });
    return readdirSync(`${folder}/made`);
  } catch (error) {
    return `${error.stdout ?? ""}${error.stderr ?? error}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Return a module with one operation. Relay requires that the name ends with the kind. Backticks in comments would end the template string. */
function module(text) {
  const bare = text.replace(/^#.*\n/gm, "");
  const suffixed = (_, kind, name) => `${kind} ${name}${kind[0].toUpperCase()}${kind.slice(1)}`;
  return `graphql\`${bare.replace(/^(query|mutation|subscription) (\w+)/m, suffixed)}\`;\n`;
}

test("relay-compiler compiles every operation", async () => {
  const made = await relay(operations);
  assert.ok(Array.isArray(made), made);
  assert.equal(made.length, operations.length, made.join(" "));
});

test("relay-compiler finds a variable that can't be left out and has a default", async () => {
  const said = await relay([{ name: "Units", text: operations.find(({ name }) => name === "Units").text.replace("$first: Int =", "$first: Int! =") }]);
  assert.match(String(said), /Non-nullable variable 'first' has a default value/);
});
