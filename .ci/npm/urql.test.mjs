// urql and its normalised cache, as a client team uses them, with the contract's documents by their ids.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";
import { introspectionFromSchema } from "graphql";

import { operations } from "./contract.mjs";
import { counting, draft, embedded, endpoint, headers, idOf, rating, schema, signInAs, until } from "./served.mjs";

const named = Object.fromEntries(operations.map(({ name, text }) => [name, text]));
const warnings = [];

/** A client of one person; `net` counts what it asks the server. */
function client(session) {
  const net = counting();
  const made = new Client({
    url: endpoint,
    fetch: net.fetch,
    preferGetMethod: false,
    fetchOptions: () => ({
      headers: { ...headers, ...(session.accessToken && { authorization: `Bearer ${session.accessToken}` }) },
    }),
    exchanges: [
      cacheExchange({
        schema: introspectionFromSchema(schema),
        keys: Object.fromEntries(embedded.map((name) => [name, () => null])),
        resolvers: { Query: { observations: relayPagination() } },
        logger: (severity, message) => severity !== "debug" && warnings.push(message),
      }),
      persistedExchange({
        enforcePersistedQueries: true,
        enableForMutation: true,
        generateHash: async (_, document) =>
          idOf(document.definitions.find(({ kind }) => kind === "OperationDefinition").name.value),
      }),
      fetchExchange,
    ],
  });
  return { ...made, made, net };
}

async function told(result) {
  const { data, error } = await result;
  assert.equal(error, undefined, String(error));
  return data;
}

const session = {};
const phone = client(session);
const ask = (name, variables, context = {}) => told(phone.made.query(named[name], variables, context));
const act = (name, variables) => told(phone.made.mutation(named[name], variables));
const drafts = ["urql 一", "urql 二", "urql 三"].map(draft);

before(async () => {
  const variables = signInAs("xc001");
  const { signIn } = await act("SignIn", variables);
  assert.equal(signIn.__typename, "SignedIn");
  Object.assign(session, signIn, { deviceId: variables.input.deviceId });
});

test("documents go by their ids alone", () => {
  const { query, extensions } = JSON.parse(phone.net.body);
  assert.equal(query, undefined);
  assert.equal(extensions.persistedQuery.sha256Hash, idOf("SignIn"));
});

test("a wrong password is a member of the answer, not an error", async () => {
  const { signIn } = await told(client({}).made.mutation(named.SignIn, signInAs("xc001", "not it at all")));
  assert.equal(signIn.__typename, "Refused");
  assert.deepEqual([signIn.code, signIn.nextStep], ["BAD_CREDENTIALS", "FIX_AND_RESEND"]);
});

test("observations are accepted, and duplicates when they are sent again", async () => {
  const first = (await act("SubmitObservations", { input: { drafts } })).submitObservations.results;
  assert.deepEqual(first.map(({ outcome }) => outcome), ["ACCEPTED", "ACCEPTED", "ACCEPTED"]);
  const again = (await act("SubmitObservations", { input: { drafts } })).submitObservations.results;
  assert.deepEqual(again.map(({ outcome }) => outcome), ["DUPLICATE", "DUPLICATE", "DUPLICATE"]);
  assert.deepEqual(again.map(({ receipt }) => receipt), first.map(({ receipt }) => receipt));
});

test("pages of one's own reports join in the cache, which then answers without the server", async () => {
  const one = (await ask("MyReports", { first: 2 })).observations;
  assert.equal(one.edges.length, 2);
  assert.equal(one.pageInfo.hasNextPage, true);
  const two = (await ask("MyReports", { first: 2, after: one.pageInfo.endCursor })).observations;
  const ids = two.edges.map(({ node }) => node.id);
  assert.ok(ids.length >= 3);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.slice(0, 2), one.edges.map(({ node }) => node.id));
  const asked = phone.net.requests;
  assert.equal((await ask("MyReports", { first: 2 })).observations.edges.length, ids.length);
  assert.equal((await ask("MyReports", { first: 2 }, { requestPolicy: "cache-only" })).observations.edges.length, ids.length);
  assert.equal(phone.net.requests, asked);
});

test("changes are pulled on from a cursor, and then there are none", async () => {
  const fresh = { requestPolicy: "network-only" };
  let since;
  const seen = new Map();
  await until(async () => {
    const { changes } = await ask("Changes", { since, first: 50 }, fresh);
    assert.equal(changes.__typename, "ChangePage");
    for (const { id, record } of changes.changes) seen.set(id, record);
    since = changes.cursor;
    return !changes.hasMore && drafts.every(({ id }) => seen.has(id));
  });
  assert.equal(seen.get(drafts[0].id).content.text, drafts[0].text);
  assert.deepEqual((await ask("Changes", { since, first: 50 }, fresh)).changes.changes, []);
});

test("the session is renewed, and an old token is refused by code", async () => {
  const { refreshSession } = await told(
    client({}).made.mutation(named.RefreshSession, { input: { refreshToken: session.refreshToken, deviceId: session.deviceId } }),
  );
  assert.equal(refreshSession.__typename, "SignedIn");
  Object.assign(session, refreshSession);
  assert.ok((await ask("MyReports", { first: 1 }, { requestPolicy: "network-only" })).observations.edges.length > 0);
  const { error } = await client({ accessToken: "not.a.token" }).made.query(named.MyReports, { first: 1 });
  assert.deepEqual(error.graphQLErrors.map(({ extensions }) => extensions.nextStep), ["SIGN_IN_AGAIN"]);
});

test("another role's work is refused in typed form", async () => {
  const { submitRatings } = await act("SubmitRatings", { input: { drafts: [rating] } });
  assert.equal(submitRatings.__typename, "Refused");
  assert.deepEqual([submitRatings.code, submitRatings.nextStep], ["FORBIDDEN", "DISCARD"]);
});

test("the cache had nothing to complain of", () => {
  assert.deepEqual(warnings, []);
});
