// Test the contract with urql and its normalised cache. Documents are sent by id, as a client team does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";
import { introspectionFromSchema } from "graphql";
import { createClient as eventStreams } from "graphql-sse";
import { createClient as sockets } from "graphql-ws";
import { WebSocket } from "ws";

import { operations } from "./contract.mjs";
import { line } from "./line.mjs";
import { officer } from "./office.mjs";
import {
  byIdAlone, counting, draft, embedded, endpoint, headers, idOf, news, rating, schema, signInAs, until,
} from "./served.mjs";

const named = Object.fromEntries(operations.map(({ name, text }) => [name, text]));
const warnings = [];

const wire = await line();
after(() => wire.close());
const signed = (session) => ({ ...headers, ...(session.accessToken && { authorization: `Bearer ${session.accessToken}` }) });

/** graphql-ws reconnects by itself, with the first variables. It requires a text; an empty one is enough. */
function bySocket(session) {
  const made = sockets({
    url: wire.socket,
    webSocketImpl: WebSocket,
    connectionParams: () => signed(session),
    retryAttempts: 200,
    shouldRetry: () => true, // also where no connection could be made: left to itself it gives up then
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    jsonMessageReplacer: byIdAlone,
  });
  return { ...made, subscribe: (request, sink) => made.subscribe({ ...request, query: request.query ?? "" }, sink) };
}

/** graphql-sse does not reconnect. The app subscribes again with its newest cursor. */
const byEvents = (session) => eventStreams({
  url: `${wire.endpoint}/stream`,
  headers: () => signed(session),
  retryAttempts: 0,
});

/** Add a new assignment to the cached list. Records that are already in the cache are updated by urql itself. */
function listed({ assignmentChanged: { assignment } }, _, cache) {
  if (!assignment) return;
  cache.updateQuery({ query: named.MyAssignments, variables: {} }, (kept) => {
    if (!kept || kept.assignments.edges.some(({ node }) => node.id === assignment.id)) return kept;
    const edges = [{ __typename: "AssignmentEdge", node: assignment }, ...kept.assignments.edges];
    return { ...kept, assignments: { ...kept.assignments, edges } };
  });
}

/** Return one person's client. `net` counts its requests to the server. */
function client(session, pushes = bySocket(session)) {
  const net = counting();
  const made = new Client({
    url: endpoint,
    fetch: net.fetch,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: signed(session) }),
    exchanges: [
      cacheExchange({
        schema: introspectionFromSchema(schema),
        keys: Object.fromEntries(embedded.map((name) => [name, () => null])),
        resolvers: { Query: { observations: relayPagination() } },
        updates: { Subscription: { assignmentChanged: listed } },
        logger: (severity, message) => severity !== "debug" && warnings.push(message),
      }),
      persistedExchange({
        enforcePersistedQueries: true,
        enableForMutation: true,
        enableForSubscriptions: true,
        generateHash: async (_, document) =>
          idOf(document.definitions.find(({ kind }) => kind === "OperationDefinition").name.value),
      }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({ subscribe: (sink) => ({ unsubscribe: pushes.subscribe(request, sink) }) }),
      }),
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

/** Return the assignments in the cache, by id. */
function given() {
  const { data } = phone.made.readQuery(named.MyAssignments, {}, { requestPolicy: "cache-only" });
  return Object.fromEntries(data.assignments.edges.map(({ node }) => [node.id, node]));
}

test("pushes come into the cache over a WebSocket, and what a cut line has missed after the newest cursor", async () => {
  const office = await officer();
  const known = await office.give(session.user.id);
  await ask("MyAssignments", {});
  const asked = phone.net.requests;
  const subscribed = (since) => {
    const heard = news();
    heard.hearing = phone.made.subscription(named.AssignmentChanged, { since }).subscribe(heard.next);
    return heard;
  };
  const heard = subscribed();
  await until(() => heard.positions());
  await office.takeBack(known);
  const first = await office.give(session.user.id);
  await until(() => given()[known].state === "WITHDRAWN" && given()[first]?.state === "OFFERED");

  const { cursor } = heard;
  wire.cut();
  await office.takeBack(first);
  const missed = await office.give(session.user.id);
  wire.mend();
  await until(() => heard.positions() === 2); // the library has connected again by itself: there is a gap before it
  assert.deepEqual([given()[first].state, given()[missed]], ["OFFERED", undefined]);
  heard.hearing.unsubscribe();

  const again = subscribed(cursor);
  await until(() => given()[first].state === "WITHDRAWN" && given()[missed]?.state === "OFFERED");
  assert.deepEqual(again.records("assignment"), [first, missed]);
  assert.equal(phone.net.requests, asked);
  again.hearing.unsubscribe();
});

test("the same over server-sent events: a case goes its way in the cache, also after a cut line", async () => {
  const office = await officer();
  const caseId = await office.open(drafts[0].id);
  const assignmentId = await office.give(session.user.id, { caseId });
  const other = client(session, byEvents(session)); // has a cache of its own
  const list = await told(other.made.query(named.MyAssignments, {}));
  assert.equal(list.assignments.edges.find(({ node }) => node.id === assignmentId).node.case.state, "ASSIGNED");
  const asked = other.net.requests;
  const stateOf = () => {
    const { data } = other.made.readQuery(named.MyAssignments, {}, { requestPolicy: "cache-only" });
    return data.assignments.edges.find(({ node }) => node.id === assignmentId).node.case.state;
  };
  const subscribed = (since) => {
    const heard = news();
    heard.hearing = other.made.subscription(named.CaseChanged, { since }).subscribe(heard.next);
    return heard;
  };
  const heard = subscribed();
  await until(() => heard.positions());
  await act("AcceptAssignment", { input: { id: assignmentId } });
  await until(() => stateOf() === "INVESTIGATING");

  wire.cut();
  await until(() => heard.fault);
  await office.close(caseId);
  wire.mend();
  assert.equal(stateOf(), "INVESTIGATING");
  const again = subscribed(heard.cursor);
  await until(() => stateOf() === "CLOSED");
  assert.deepEqual(again.records("case"), [caseId]);
  assert.equal(other.net.requests, asked);
  again.hearing.unsubscribe();
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
