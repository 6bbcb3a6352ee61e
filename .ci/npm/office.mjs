// Act as an officer, to cause events for inspectors. These operations are not part of the contract, so they are sent as text.
import assert from "node:assert/strict";

import { text } from "./contract.mjs";
import { endpoint, headers, newId, signInAs } from "./served.mjs";

const refused = "... on Refused { code message }";
const assign = `mutation Assign($input: AssignInput!) {
  assign(input: $input) { __typename ... on AssignmentPayload { assignment { id } } ${refused} }
}`;
const withdraw = `mutation Withdraw($input: StepAssignmentInput!) {
  withdrawAssignment(input: $input) { __typename ... on AssignmentPayload { assignment { id } } ${refused} }
}`;
const openCase = `mutation Open($input: OpenCaseInput!) {
  openCase(input: $input) { __typename ... on CasePayload { case { id } } ${refused} }
}`;
const moveCase = `mutation Move($input: MoveCaseInput!) {
  moveCase(input: $input) { __typename ... on CasePayload { case { id } } ${refused} }
}`;
const windows = "query Windows { units(first: 1, level: WINDOW) { edges { node { id } } } }";

async function asked(query, input, session) {
  const signed = session && { authorization: `Bearer ${session.accessToken}` };
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { ...headers, ...signed, "content-type": "application/json" },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  const [answer] = Object.values(data);
  assert.notEqual(answer.__typename, "Refused", answer.message);
  return answer;
}

export async function officer() {
  const session = await asked(text("operations/SignIn.graphql"), signInAs("xnb001").input);
  const [window] = (await asked(windows, undefined, session)).edges;
  return {
    /** Assign a place to inspect, or a case, to a person. Return the assignment's id. */
    async give(assigneeId, what = { unitId: window.node.id }) {
      const { assignment } = await asked(assign, { id: newId("asg"), assigneeId, ...what }, session);
      return assignment.id;
    },
    takeBack: (id) => asked(withdraw, { id }, session),
    async open(observationId) {
      const input = { id: newId("cas"), title: "客户端测试", observationIds: [observationId] };
      return (await asked(openCase, input, session)).case.id;
    },
    close: (caseId) =>
      asked(moveCase, { id: newId("evt"), caseId, to: "CLOSED", outcome: "UNFOUNDED", reply: "查无此事。" }, session),
  };
}
