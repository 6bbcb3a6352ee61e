// Read the files of the mobile contract: its folder, its SDL and its named operations.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const contract = `${root}mobile_contract/`;
export const text = (name) => readFileSync(contract + name, "utf8");
export const operations = readdirSync(`${contract}operations`)
  .sort()
  .map((file) => ({ name: file.replace(/\.graphql$/, ""), text: text(`operations/${file}`) }));
export const manifest = JSON.parse(text("documents.json")).operations;
export const retired = JSON.parse(text("retired.json")).operations;
export const levels = JSON.parse(text("level.json"));
