// What a client team writes on top of the generated types: it compiles only while these are as the contract has them.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";

import {
  ChangesDocument,
  type ChangesQuery,
  type ChangesQueryVariables,
  type MediaDraft,
  type NextStep,
  type ObservationDraft,
  SubmitObservationsDocument,
  type SubmitObservationsMutation,
  type SubmitObservationsMutationVariables,
} from "./contract.js";

type Refused = Extract<SubmitObservationsMutation["submitObservations"], { __typename: "Refused" }>;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(): T | undefined => undefined;

// Custom scalars are what the configuration maps them to, and nothing is `any`.
holds<Same<ObservationDraft["capturedAt"], string>>();
holds<Same<MediaDraft["byteSize"], number>>();
holds<Same<Refused["nextStep"], NextStep>>();

// Documents carry the types of their answers and variables.
export const documents: [
  TypedDocumentNode<SubmitObservationsMutation, SubmitObservationsMutationVariables>,
  TypedDocumentNode<ChangesQuery, ChangesQueryVariables>,
] = [SubmitObservationsDocument, ChangesDocument];

/** What a queue does with an answer; a value that a later server adds must have a place too. */
export function next(answer: SubmitObservationsMutation["submitObservations"]): NextStep | "DONE" {
  return answer.__typename === "Refused" ? answer.nextStep : "DONE";
}

/** Ids that a phone drops, and names of the units that it keeps. */
export function pulled({ changes }: ChangesQuery): { gone: string[]; units: string[] } {
  const gone: string[] = [];
  const units: string[] = [];
  if (changes.__typename === "Refused") return { gone, units };
  for (const { id, record } of changes.changes) {
    if (record === null) gone.push(id);
    else if (record.__typename === "Unit") units.push(record.name);
  }
  return { gone, units };
}

// @ts-expect-error: a number is no instant
export const wrong: ObservationDraft["capturedAt"] = 0;
