// Test the contract with Apollo Client and its normalised cache. Documents are sent by id, as a client team does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { SetContextLink } from "@apollo/client/link/context";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

import { operations } from "./contract.mjs";
import { line } from "./line.mjs";
import { officer } from "./office.mjs";
import {
  byIdAlone, counting, draft, embedded, endpoint, headers, idOf, news, rating, signInAs, until,
} from "./served.mjs";

const named = Object.fromEntries(operations.map(({ name, text }) => [name, gql(text)]));
const values = embedded.filter((name) => !["Query", "Mutation", "Subscription"].includes(name));
const warnings = [];
for (const kind of ["warn", "error"]) console[kind] = (...said) => warnings.push(said.join(" "));
const wire = await line();
after(() => wire.close());

function client(session) {
  const net = counting();
  const pushes = createClient({
    url: wire.socket,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ ...headers, authorization: `Bearer ${session.accessToken}` }),
    retryAttempts: 0, // the app itself comes again, with its newest cursor
    jsonMessageReplacer: byIdAlone,
  });
  const signedIn = new SetContextLink((before) => ({
    headers: { ...before.headers, ...(session.accessToken && { authorization: `Bearer ${session.accessToken}` }) },
  }));
  const byId = new PersistedQueryLink({
    generateHash: (document) => idOf(document.definitions.find(({ kind }) => kind === "OperationDefinition").name.value),
  });
  const made = new ApolloClient({
    link: ApolloLink.from([
      signedIn,
      byId,
      ApolloLink.split(
        ({ operationType }) => operationType === "subscription",
        new GraphQLWsLink(pushes),
        new HttpLink({ uri: endpoint, fetch: net.fetch, headers }),
      ),
    ]),
    cache: new InMemoryCache({
      typePolicies: {
        Query: { fields: { observations: relayStylePagination(["filter"]) } },
        ...Object.fromEntries(values.map((name) => [name, { keyFields: false, merge: true }])),
      },
    }),
  });
  return { made, net };
}

const session = {};
const phone = client(session);
const ask = async (name, variables, options = {}) =>
  (await phone.made.query({ query: named[name], variables, ...options })).data;
const act = async (name, variables, from = phone) =>
  (await from.made.mutate({ mutation: named[name], variables })).data;
const drafts = ["apollo 一", "apollo 二", "apollo 三"].map(draft);

before(async () => {
  const variables = signInAs("xc002");
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
  const { signIn } = await act("SignIn", signInAs("xc002", "not it at all"), client({}));
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

test("a list grows by pages, and the cache then answers without the server", async () => {
  const list = phone.made.watchQuery({ query: named.MyReports, variables: { first: 2 } });
  const watching = list.subscribe(() => {});
  const first = await until(() => list.getCurrentResult().data);
  assert.equal(first.observations.edges.length, 2);
  await list.fetchMore({ variables: { after: first.observations.pageInfo.endCursor } });
  const grown = await until(() => {
    const { edges } = list.getCurrentResult().data.observations;
    return edges.length >= 3 && edges;
  });
  const ids = grown.map(({ node }) => node.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.slice(0, 2), first.observations.edges.map(({ node }) => node.id));
  watching.unsubscribe();
  const asked = phone.net.requests;
  assert.equal((await ask("MyReports", { first: 2 })).observations.edges.length, ids.length);
  assert.equal(phone.net.requests, asked);
  // Both were submitted in one batch, so they have the same time of receipt. The greatest id comes first.
  const [newest] = drafts.toSorted((one, other) => (one.id < other.id ? 1 : -1));
  assert.equal(phone.made.cache.extract()[`Observation:${newest.id}`].content.text, newest.text);
  assert.equal(ids[0], newest.id);
});

test("changes are pulled on from a cursor, and then there are none", async () => {
  const fresh = { fetchPolicy: "network-only" };
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

test("pushes change the cache by themselves, and the newest cursor brings what a cut line has missed", async () => {
  const office = await officer();
  const known = await office.give(session.user.id);
  const stateOf = (id) => phone.made.cache.extract()[`Assignment:${id}`]?.state;
  const list = phone.made.watchQuery({ query: named.MyAssignments });
  const watching = list.subscribe(() => {});
  const shown = () => list.getCurrentResult().data?.assignments.edges.map(({ node }) => [node.id, node.state]) ?? [];
  const stands = (id, state) => until(() => shown().some(([one, its]) => one === id && its === state));
  await stands(known, "OFFERED");
  const asked = phone.net.requests;

  const heard = news();
  const variables = (since) => ({ query: named.AssignmentChanged, variables: { since } });
  phone.made.subscribe(variables()).subscribe(heard);
  await until(() => heard.cursor);
  await office.takeBack(known);
  await stands(known, "WITHDRAWN");
  const [first, second] = [await office.give(session.user.id), await office.give(session.user.id)];
  await until(() => stateOf(first) === "OFFERED" && stateOf(second) === "OFFERED");

  wire.cut();
  await until(() => heard.fault);
  await office.takeBack(first);
  const missed = await office.give(session.user.id);
  wire.mend();
  assert.deepEqual([stateOf(first), stateOf(missed)], ["OFFERED", undefined]);

  const again = news();
  const hearing = phone.made.subscribe(variables(heard.cursor)).subscribe(again);
  await until(() => stateOf(first) === "WITHDRAWN" && stateOf(missed) === "OFFERED");
  assert.deepEqual(again.records("assignment"), [first, missed]);
  assert.equal(stateOf(second), "OFFERED");
  assert.equal(phone.net.requests, asked);
  hearing.unsubscribe();
  watching.unsubscribe();
});

test("the session is renewed, and an old token is refused by code", async () => {
  const { refreshToken, deviceId } = session;
  const { refreshSession } = await act("RefreshSession", { input: { refreshToken, deviceId } }, client({}));
  assert.equal(refreshSession.__typename, "SignedIn");
  Object.assign(session, refreshSession);
  assert.ok((await ask("MyReports", { first: 1 }, { fetchPolicy: "network-only" })).observations.edges.length > 0);
  const stranger = client({ accessToken: "not.a.token" });
  await assert.rejects(stranger.made.query({ query: named.MyReports, variables: { first: 1 } }), (error) => {
    assert.ok(CombinedGraphQLErrors.is(error), String(error));
    assert.deepEqual(error.errors.map(({ extensions }) => extensions.nextStep), ["SIGN_IN_AGAIN"]);
    return true;
  });
});

test("another role's work is refused in typed form", async () => {
  const { submitRatings } = await act("SubmitRatings", { input: { drafts: [rating] } });
  assert.equal(submitRatings.__typename, "Refused");
  assert.deepEqual([submitRatings.code, submitRatings.nextStep], ["FORBIDDEN", "DISCARD"]);
});

test("the cache had nothing to complain of", () => {
  assert.deepEqual(warnings, []);
});
