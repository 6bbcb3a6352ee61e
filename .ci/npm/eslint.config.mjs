// graphql-eslint over the contract: all of its rules but those that are turned off or bent here, each with its reason.
import graphql from "@graphql-eslint/eslint-plugin";
import { contract } from "./contract.mjs";

const schema = `${contract}schema.graphql`;
const rules = (...sets) => Object.assign({}, ...sets.map((set) => graphql.configs[`flat/${set}`].rules));
const over = (files, rules) => ({
  files,
  plugins: { "@graphql-eslint": graphql },
  languageOptions: {
    parser: graphql.parser,
    parserOptions: { graphQLConfig: { schema, documents: `${contract}operations/*.graphql` } },
  },
  rules,
});

export default [
  over(["mobile_contract/**/schema.graphql"], {
    ...rules("schema-all", "schema-relay"),
    // Fields stand in the order in which people read them; sorting by letter would part `latitude` from `longitude`.
    "@graphql-eslint/alphabetize": "off",
    // Types are named for what they are. Those without an id are payloads, pages and values within a record;
    // every record implements `Node`, which has one.
    "@graphql-eslint/strict-id-in-types": "off",
    // Every mutation answers with a union of which `Refused` is a member; that is never null.
    "@graphql-eslint/require-nullable-result-in-root": "off",
    // A read-only API it is not.
    "@graphql-eslint/no-root-type": "off",
    // Lists go forward only: cursors of keysets, on a list that grows at its head.
    "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
    // Short lists within a record are plain ones; only what can grow without end is a connection.
    "@graphql-eslint/relay-edge-types": [
      "error",
      { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
    ],
  }),
  over(["mobile_contract/**/operations/*.graphql"], {
    ...rules("operations-all"),
    // As in the SDL; and a changed order would be another trusted document.
    "@graphql-eslint/alphabetize": "off",
    // A file is named as its operation is.
    "@graphql-eslint/match-document-filename": [
      "error",
      { query: "PascalCase", mutation: "PascalCase", subscription: "PascalCase" },
    ],
  }),
];
