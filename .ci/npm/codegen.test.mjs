// Generate TypeScript from the contract with graphql-codegen and the configuration for client teams, and compile it strictly.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { generate } from "@graphql-codegen/cli";

import { contract, operations, text } from "./contract.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
mkdirSync(`${here}build`, { recursive: true });
const folder = mkdtempSync(`${here}build/typescript-`);
after(() => rmSync(folder, { recursive: true }));
const options = { strict: true, noEmit: true, target: "es2022", module: "nodenext", types: [] };
const checks = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noUnusedLocals: true };

/** Run tsc on the folder, and return its output. */
function compiled() {
  try {
    execFileSync(`${here}node_modules/.bin/tsc`, ["-p", folder], { encoding: "utf8", timeout: 120_000 });
    return "";
  } catch (error) {
    return error.stdout;
  }
}

test("types and documents of every operation are generated, and compile as strictly as tsc can", async () => {
  const config = JSON.parse(text("codegen/typescript.json"));
  const [schema, documents] = [config.schema, config.documents].map((path) => `${contract}codegen/${path}`);
  const made = await generate({ ...config, schema, documents, cwd: here, silent: true }, false);
  assert.deepEqual(made.map(({ filename }) => filename), ["contract.ts"]);
  for (const { name } of operations) assert.match(made[0].content, new RegExp(`export const ${name}Document = `));
  writeFileSync(`${folder}/contract.ts`, made[0].content);
  writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: { ...options, ...checks } }));
  copyFileSync(`${here}typed.ts`, `${folder}/typed.ts`);
  assert.equal(compiled(), "");
});

test("what does not fit the contract does not compile", () => {
  const uses = readFileSync(`${here}typed.ts`, "utf8");
  for (const [was, is] of [["record.name", "record.enterprise"], ['=== "Unit"', '=== "Units"'], ["string>>", "number>>"]]) {
    assert.ok(uses.includes(was));
    writeFileSync(`${folder}/typed.ts`, uses.replace(was, is));
    assert.match(compiled(), /typed\.ts\(\d+,\d+\): error TS/, was);
  }
});
