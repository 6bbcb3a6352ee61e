// Blanks in example variables: {{new:obs}} a new id, {{last:cas}} the last id of that kind seen, {{now}} this moment.

const seen = new Map();
const ID = /\b([a-z]{3})_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;

/** Remember the ids in an answer, the last of each kind. */
export function notice(text) {
  for (const [id, prefix] of text.matchAll(ID)) seen.set(prefix, id);
}

/** Kinds of ids that `text` needs and none was seen of. */
export function missing(text) {
  return [...text.matchAll(/\{\{last:(\w+)\}\}/g)].map(([, prefix]) => prefix).filter((prefix) => !seen.has(prefix));
}

/** Fill the blanks that can be filled. `named` gives further ones, which stand inside of JSON strings. */
export function fill(text, named = {}) {
  const made = new Map(); // {{new:obs#1}} twice in one text is the same id, {{now#1}} the same time
  return text.replace(/\{\{([\w-]+)(?::(\w+))?(#\w+)?\}\}/g, (blank, kind, prefix, mark) => {
    if (kind in named) return JSON.stringify(named[kind]).slice(1, -1);
    if (kind === "last") return seen.get(prefix) ?? blank;
    if (kind !== "now" && kind !== "new") return blank;
    const value = kind === "now" ? localTime() : newId(prefix);
    if (!mark) return value;
    if (!made.has(blank)) made.set(blank, value);
    return made.get(blank);
  });
}

/** A prefix and a UUIDv7, as phones make them. */
function newId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let milliseconds = Date.now();
  for (let place = 5; place >= 0; place--, milliseconds = Math.floor(milliseconds / 256)) bytes[place] = milliseconds % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${prefix}_${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
}

/** Now, with this machine's offset, as a phone gives it. */
function localTime() {
  const now = new Date();
  const minutes = -now.getTimezoneOffset();
  const two = (number) => String(Math.trunc(number)).padStart(2, "0");
  const offset = `${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
  return new Date(now.getTime() + minutes * 60_000).toISOString().slice(0, -1) + offset;
}
