// Test the explorer's functions without a browser: gaps in examples, completion, skeletons of operations.
import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../api/web/explorer/page/", import.meta.url);
const { fill, missing, notice } = await import(new URL("blanks.js", page));
const { situation } = await import(new URL("completion.js", page));
const { Schema, printType, skeleton } = await import(new URL("schema.js", page));

const named = (name, kind = "SCALAR") => ({ kind, name, ofType: null });
const required = (ofType) => ({ kind: "NON_NULL", name: null, ofType });
const list = (ofType) => ({ kind: "LIST", name: null, ofType });
const field = (name, type, args = []) => ({ name, type, args, isDeprecated: false });
const object = (name, ...fields) => ({ kind: "OBJECT", name, fields });
const schema = new Schema({
  queryType: { name: "Query" },
  mutationType: { name: "Mutation" },
  types: [
    object("Query", field("case", named("Case", "OBJECT"), [{ name: "id", type: required(named("ID")), defaultValue: null }])),
    object("Mutation", field("open", named("Result", "UNION"))),
    object("Case", field("id", named("ID")), field("unit", named("Unit", "OBJECT"))),
    object("Unit", field("name", named("String")), field("above", required(list(required(named("Unit", "OBJECT")))))),
    object("Payload", field("case", named("Case", "OBJECT"))),
    { kind: "UNION", name: "Result", fields: null, possibleTypes: [{ name: "Payload" }] },
  ],
});

test("new ids are UUIDv7 of their kind, marks make them the same, other blanks stay", () => {
  const text = fill("{{new:obs#1}} {{new:obs#1}} {{new:obs}} {{now}} {{last:zzz}} {{user}}", { user: 'a"b' });
  const [first, again, other, now, last, user] = text.split(" ");
  assert.match(first, /^obs_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(Math.abs(parseInt(first.slice(4, 17).replace("-", ""), 16) - Date.now()) < 5000, true);
  assert.equal(first, again);
  assert.notEqual(first, other);
  assert.match(now, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/);
  assert.equal(Math.abs(Date.parse(now) - Date.now()) < 5000, true);
  assert.equal(last, "{{last:zzz}}");
  assert.equal(user, 'a\\"b');
});

test("ids in answers are remembered, the last of each kind", () => {
  const id = (prefix, digit) => `${prefix}_0198f00d-7000-7000-8000-${digit.repeat(12)}`;
  assert.deepEqual(missing("{{last:cas}} {{last:asg}}"), ["cas", "asg"]);
  notice(JSON.stringify({ a: id("cas", "1"), b: [id("cas", "2")] }));
  assert.deepEqual(missing("{{last:cas}} {{last:asg}}"), ["asg"]);
  assert.equal(fill("{{last:cas}}"), id("cas", "2"));
});

for (const [text, type, prefix = ""] of [
  ["{ ", "Query"],
  ["query A($id: ID!) { ca", "Query", "ca"],
  ["mutation B { ", "Mutation"],
  ["{ case(id: 1) { ", "Case"],
  ["{ case(id: 1) { id unit { na", "Unit", "na"],
  ["{ case(id: 1) { unit { above { name } } ", "Case"],
  ["{ mine: case(id: 1) { ", "Case"],
  ["{ mine: case(id: 1) @include(if: true) { ", "Case"],
  ["mutation { open { ... on Payload { ", "Payload"],
  ["mutation { open { ... on Payload { case { unit { name } } } ", "Result"],
  ["{ ...F } fragment F on Unit { ", "Unit"],
  ["{ case(i", undefined, "i"],
  ["{ # { mutation {\n", "Query"],
  ["{ nothing { ", undefined],
]) {
  test(`completion at the end of ${JSON.stringify(text)}`, () => {
    assert.deepEqual(situation(text, text.length, schema), { type, prefix });
  });
}

test("a skeleton declares what is required and selects the plain fields", () => {
  const query = skeleton(schema, "Query", schema.fields("Query")[0]);
  assert.equal(query.operation, "query Case($id: ID!) {\n  case(id: $id) {\n    id\n  }\n}\n");
  assert.deepEqual(JSON.parse(query.variables), { id: "" });
  const mutation = skeleton(schema, "Mutation", schema.fields("Mutation")[0]);
  assert.match(mutation.operation, /__typename\s+\.\.\. on Payload \{\s+case \{\s+id\s+\}/);
  assert.equal(mutation.variables, "");
});

test("types are printed as in the SDL", () => {
  assert.equal(printType(schema.fields("Unit")[1].type), "[Unit!]!");
});
