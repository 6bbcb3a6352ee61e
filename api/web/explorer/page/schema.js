// The schema, as the server tells it by introspection; showing it is browser.js's business.

const REFERENCE = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
const QUESTION = `query Schema {
  __schema {
    queryType { name }
    mutationType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason type { ${REFERENCE} }
        args { name description defaultValue type { ${REFERENCE} } }
      }
      inputFields { name description defaultValue type { ${REFERENCE} } }
      interfaces { name }
      possibleTypes { name }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    }
  }
}`;

/** Ask the server for its schema; null where it keeps it to itself. */
export async function load(ask) {
  const { body } = await ask({ query: QUESTION });
  return body?.data ? new Schema(body.data.__schema) : null;
}

export const namedType = (reference) => (reference.ofType ? namedType(reference.ofType) : reference.name);
export const isRequired = (input) => input.type.kind === "NON_NULL" && input.defaultValue == null;

export function printType(reference) {
  if (reference.kind === "NON_NULL") return `${printType(reference.ofType)}!`;
  if (reference.kind === "LIST") return `[${printType(reference.ofType)}]`;
  return reference.name;
}

export class Schema {
  constructor({ queryType, mutationType, types }) {
    this.query = queryType.name;
    this.mutation = mutationType?.name;
    this.types = new Map(types.filter(({ name }) => !name.startsWith("__")).map((type) => [type.name, type]));
  }

  fields(typeName) {
    return this.types.get(typeName)?.fields ?? [];
  }

  fieldType(typeName, fieldName) {
    const field = this.fields(typeName).find(({ name }) => name === fieldName);
    return field ? namedType(field.type) : undefined;
  }

  hasFields(typeName) {
    return ["OBJECT", "INTERFACE", "UNION"].includes(this.types.get(typeName)?.kind);
  }

  /** Types and fields whose name or description holds `text`: [{type, field?}], at most `most`. */
  find(text, most = 60) {
    const wanted = text.toLowerCase();
    const holds = (thing) => thing.name.toLowerCase().includes(wanted) || thing.description?.toLowerCase().includes(wanted);
    const found = [];
    for (const type of this.types.values()) {
      if (holds(type)) found.push({ type });
      for (const field of [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])]) {
        if (holds(field)) found.push({ type, field });
      }
    }
    return found.slice(0, most);
  }
}

/** An operation that calls a root field, with its required arguments as variables and the plain fields of its answer. */
export function skeleton(schema, root, field) {
  const given = field.args.filter(isRequired);
  const declared = given.map(({ name, type }) => `$${name}: ${printType(type)}`).join(", ");
  const passed = given.map(({ name }) => `${name}: $${name}`).join(", ");
  const title = field.name[0].toUpperCase() + field.name.slice(1);
  const inner = selection(schema, namedType(field.type), 4, "  ");
  const kind = root === schema.mutation ? "mutation" : "query";
  const variables = Object.fromEntries(given.map(({ name, type }) => [name, sample(schema, type)]));
  return {
    operation: `${kind} ${title}${declared && `(${declared})`} {\n  ${field.name}${passed && `(${passed})`}${inner}\n}\n`,
    variables: given.length ? `${JSON.stringify(variables, null, 2)}\n` : "",
  };
}

function selection(schema, typeName, depth, indentation) {
  const type = schema.types.get(typeName);
  if (!schema.hasFields(typeName)) return "";
  const deeper = `${indentation}  `;
  const lines = type.kind === "UNION" ? ["__typename"] : [];
  const fields = (type.fields ?? []).filter((field) => !field.isDeprecated && !field.args.some(isRequired));
  // A type without plain fields is a wrapper, as connections and payloads are: what it holds is meant.
  const isWrapper = fields.every(({ type: inner }) => schema.hasFields(namedType(inner)));
  for (const field of fields) {
    const inner = namedType(field.type);
    if (!schema.hasFields(inner)) lines.push(field.name);
    else if (depth > 1 && (isWrapper || field.name === "node")) lines.push(field.name + selection(schema, inner, depth - 1, deeper));
  }
  for (const member of type.kind === "UNION" ? type.possibleTypes : []) {
    lines.push(`... on ${member.name}${selection(schema, member.name, depth - 1, deeper)}`);
  }
  if (!lines.length) lines.push("__typename");
  return ` {\n${lines.map((line) => deeper + line).join("\n")}\n${indentation}}`;
}

function sample(schema, reference) {
  if (reference.kind === "NON_NULL") return sample(schema, reference.ofType);
  if (reference.kind === "LIST") return [sample(schema, reference.ofType)];
  const type = schema.types.get(reference.name);
  if (type?.kind === "ENUM") return type.enumValues[0].name;
  if (type?.kind === "INPUT_OBJECT") {
    return Object.fromEntries(type.inputFields.filter(isRequired).map((field) => [field.name, sample(schema, field.type)]));
  }
  return { Int: 0, Float: 0, Boolean: false, DateTime: "{{now}}" }[reference.name] ?? "";
}
