// Reach the running product as clients of the contract do: its address, the test accounts, and helpers to send requests.
import { randomBytes } from "node:crypto";

import { buildSchema, isObjectType } from "graphql";

import { levels, manifest, text } from "./contract.mjs";

const { MINGCHA_ADDRESS: address, MINGCHA_PASSWORD: password } = process.env;
if (!address || !password) throw new Error("Set MINGCHA_ADDRESS and MINGCHA_PASSWORD: .ci/run does.");

export const endpoint = `${address}/graphql`;
export const headers = { "Mingcha-Level": String(levels.current) };

/** Return the id of an operation's trusted document, by the operation's name. A tool's own print of the text would have another hash. */
export const idOf = (name) => manifest.find((each) => each.name === name).id;

/** Return a new id: the kind's prefix and a UUIDv7. */
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

/** Types without an id: values within a record, pages and payloads. */
export const embedded = Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type) && !type.name.startsWith("__"))
  .filter((type) => !type.getInterfaces().some(({ name }) => name === "Node") && type.name !== "Device")
  .map(({ name }) => name);

/** Call `look` until it returns a value, and return the value. Give up after ten seconds. */
export async function until(look) {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`Not within ten seconds: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Return a `fetch` that counts its calls and keeps the last request's body. So a test sees which answers came from a cache. */
export function counting() {
  const seen = { requests: 0, body: undefined };
  seen.fetch = (url, init) => {
    seen.requests += 1;
    seen.body = init.body;
    return fetch(url, init);
  };
  return seen;
}

/** Observe a subscription: its events, the newest cursor, and the fault that ended it. */
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

/** A replacer for `JSON.stringify`: it drops the text of an operation that is sent by its document's id. */
export const byIdAlone = (_, value) => (value?.extensions?.persistedQuery ? { ...value, query: undefined } : value);
