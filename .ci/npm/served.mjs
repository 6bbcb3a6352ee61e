// The product that serves, as clients of the contract meet it: its address, people to sign in as, and what they send.
import { randomBytes } from "node:crypto";

import { buildSchema, isObjectType } from "graphql";

import { levels, manifest, text } from "./contract.mjs";

const { MINGCHA_ADDRESS: address, MINGCHA_PASSWORD: password } = process.env;
if (!address || !password) throw new Error("Set MINGCHA_ADDRESS and MINGCHA_PASSWORD: .ci/run does.");

export const endpoint = `${address}/graphql`;
export const headers = { "Mingcha-Level": String(levels.current) };

/** The id of a trusted document, by the name of its operation: tools print texts anew, and another text has another hash. */
export const idOf = (name) => manifest.find((each) => each.name === name).id;

/** A new id: the kind and a UUIDv7. */
export function newId(kind) {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  return `${kind}_${bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
}

export const signInAs = (userName, given = password) => ({
  input: { userName, password: given, deviceId: newId("dev"), deviceName: "client of CI" },
});

export const draft = (text) => ({
  id: newId("obs"),
  method: "PATROL",
  category: "ABSENCE",
  severity: "MINOR",
  text,
  capturedAt: new Date().toISOString(),
  unit: "360703-JT-1",
});

export const rating = { id: newId("rat"), monitoringPoint: "JC-001", unit: "360703-JT", month: "2026-10-01", score: 90 };

export const schema = buildSchema(text("schema.graphql"));

/** Types that have no id of their own: values within a record, pages and payloads. */
export const embedded = Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type) && !type.name.startsWith("__"))
  .filter((type) => !type.getInterfaces().some(({ name }) => name === "Node") && type.name !== "Device")
  .map(({ name }) => name);

/** A value that `look` finds; looks again until ten seconds have passed. */
export async function until(look) {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`Not within ten seconds: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** `fetch` that counts, so that a test sees what a cache has answered, and keeps the last request's body. */
export function counting() {
  const seen = { requests: 0, body: undefined };
  seen.fetch = (url, init) => {
    seen.requests += 1;
    seen.body = init.body;
    return fetch(url, init);
  };
  return seen;
}

/** An observer of a subscription: what it was told, the newest cursor, and the fault that ended it. */
export function news() {
  const told = { events: [], cursor: undefined, fault: undefined };
  const error = (fault) => (told.fault = fault);
  const next = (result) => {
    if (result.error) error(result.error);
    if (!result.data) return;
    const [event] = Object.values(result.data);
    told.events.push(event);
    told.cursor = event.cursor ?? told.cursor;
  };
  const records = (name) => told.events.filter((event) => event[name]).map((event) => event[name].id);
  const positions = () => told.events.filter(({ __typename }) => __typename === "StreamPosition").length;
  return Object.assign(told, { next, error, records, positions });
}

/** For `JSON.stringify`: an operation that is named by its document's id goes without the text. */
export const byIdAlone = (_, value) => (value?.extensions?.persistedQuery ? { ...value, query: undefined } : value);
