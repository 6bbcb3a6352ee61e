// Lint the contract with all rules of graphql-eslint. Each rule that is off or changed has its reason here.
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
    // Fields are in the order in which people read them. Alphabetical order would separate `latitude` from `longitude`.
    "@graphql-eslint/alphabetize": "off",
    // Types without an id are payloads, pages and values within a record;
    // every record implements `Node`, which has an id.
    "@graphql-eslint/strict-id-in-types": "off",
    // Every mutation returns a union that includes `Refused`. The union is never null.
    "@graphql-eslint/require-nullable-result-in-root": "off",
    // The API also writes.
    "@graphql-eslint/no-root-type": "off",
    // Lists page forward only: their cursors are keysets, and new entries come at the head.
    "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
    // Short lists within a record are plain lists. Only lists without an upper bound are connections.
    "@graphql-eslint/relay-edge-types": [
      "error",
      { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
    ],
  }),
  over(["mobile_contract/**/operations/*.graphql"], {
    ...rules("operations-all"),
    // The order is as in the SDL. Another order would also change the hash of the trusted document.
    "@graphql-eslint/alphabetize": "off",
    // A file has the name of its operation.
    "@graphql-eslint/match-document-filename": [
      "error",
      { query: "PascalCase", mutation: "PascalCase", subscription: "PascalCase" },
    ],
  }),
];
