// Audit a running server against the GraphQL over HTTP specification. Print one line per audit; fail unless all are ok.
// Usage: node audit.mjs http://127.0.0.1:8000/graphql
import { auditServer } from "graphql-http";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("Usage: node audit.mjs URL");
  process.exit(2);
}

const signs = { ok: "ok  ", notice: "note", warn: "WARN", error: "FAIL" };
const results = await auditServer({ url, fetchFn: fetch });
for (const { status, id, name, reason } of results) {
  console.log(`${signs[status]} ${id} ${name}${reason ? `: ${reason}` : ""}`);
}
const ok = results.filter(({ status }) => status === "ok").length;
console.log(`${ok} of ${results.length} audits ok`);
process.exit(ok === results.length && ok > 0 ? 0 : 1);
