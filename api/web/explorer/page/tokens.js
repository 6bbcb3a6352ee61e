// Tokens of GraphQL and JSON texts, for colours and for completion.

const GRAPHQL =
  /(?<comment>#[^\n]*)|(?<string>"""[\s\S]*?(?:"""|$)|"(?:\\.|[^"\\\n])*"?)|(?<variable>[$@]\w*)|(?<word>[A-Za-z_]\w*)|(?<figure>-?\d[\w.+-]*)|(?<mark>\.\.\.|[^\s])|\s+/g;
const JSON_TEXT =
  /(?<name>"(?:\\.|[^"\\\n])*"(?=\s*:))|(?<string>"(?:\\.|[^"\\\n])*"?)|(?<figure>-?\d[\d.eE+-]*)|(?<word>true|false|null)|(?<mark>[^\s])|\s+/g;
const KEYWORDS = new Set(["query", "mutation", "subscription", "fragment", "on", "true", "false", "null"]);

/** The tokens of `text` as {kind, text, start}; white space is left out. */
export function* graphqlTokens(text) {
  for (const match of text.matchAll(GRAPHQL)) {
    const [kind] = Object.entries(match.groups).find(([, value]) => value !== undefined) ?? [];
    if (kind) yield { kind, text: match[0], start: match.index };
  }
}

/** `text` as nodes with colours: `language` is graphql or json. */
export function coloured(text, language) {
  const pieces = document.createDocumentFragment();
  for (const match of text.matchAll(language === "json" ? JSON_TEXT : GRAPHQL)) {
    const style = language === "json" ? jsonStyle(match.groups) : graphqlStyle(match.groups);
    if (!style) {
      pieces.append(match[0]);
      continue;
    }
    const piece = document.createElement("span");
    piece.className = style;
    piece.textContent = match[0];
    pieces.append(piece);
  }
  return pieces;
}

function graphqlStyle({ comment, string, variable, word, figure }) {
  if (comment) return "comment";
  if (string) return "string";
  if (variable) return "name";
  if (figure) return "figure";
  return word && KEYWORDS.has(word) ? "word" : null;
}

function jsonStyle({ name, string, figure, word }) {
  if (name) return "name";
  if (string) return "string";
  if (figure) return "figure";
  return word ? "word" : null;
}
