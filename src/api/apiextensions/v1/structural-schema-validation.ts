import {
  CelCompiler,
  CelError,
  checkSchema,
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  isJsonObject,
  notSupportedField,
  OpenApiSchemaError,
  requiredField,
  schemaFromOpenApi,
} from "../../../apimachinery/index.ts";
import { checkListAndMapTypes } from "./list-type-validation.ts";
import type { JSONSchemaProps } from "./types.ts";

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];
const UNSUPPORTED = [
  "definitions",
  "dependencies",
  "id",
  "additionalItems",
  "patternProperties",
  "$ref",
  "$schema",
] as const;
const JUNCTORS = ["allOf", "anyOf", "oneOf"] as const;
/** What says something of structure, and may not stand where only values are constrained. */
const STRUCTURE = [
  ["type", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["title", "must be empty to be structural"],
  ["default", "must be undefined to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["nullable", "must be false to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
] as const;
/** Deeper than this no schema of a person goes; the walk is recursive. */
const MAX_DEPTH = 100;

type Level = "root" | "object fields" | "array items";

/**
 * Everything that keeps a schema from being structural, or that this API does not understand.
 * KEP-1979 has the rules: each value has a type, and what constrains values adds no structure.
 */
export function checkStructuralSchema(
  errors: FieldError[],
  path: FieldPath,
  schema: JSONSchemaProps,
): void {
  checkNode(errors, path, schema, { level: "root", depth: 0 });
}

interface Where {
  readonly level: Level;
  readonly depth: number;
  readonly isEmbedded?: boolean;
}

function checkNode(
  errors: FieldError[],
  path: FieldPath,
  schema: JSONSchemaProps,
  where: Where,
): void {
  if (where.depth > MAX_DEPTH) {
    errors.push(forbiddenField(path, `must not be nested deeper than ${MAX_DEPTH}`));
    return;
  }
  checkType(errors, path, schema, where.level);
  checkUnsupported(errors, path, schema);
  checkExtensions(errors, path, schema);
  checkListAndMapTypes(errors, path, schema);
  if (where.level === "root" || schema["x-kubernetes-embedded-resource"] === true) {
    checkObjectFields(errors, path, schema);
  }
  checkPattern(errors, path, schema);
  checkRules(errors, path, schema);
  checkDefault(errors, path, schema);
  checkChildren(errors, path, schema, where.depth + 1);
  checkConstraints(errors, path, schema, schema, where.depth + 1);
}

function checkType(
  errors: FieldError[],
  path: FieldPath,
  schema: JSONSchemaProps,
  level: Level,
): void {
  const at = path.child("type");
  const { type = "" } = schema;
  const isIntOrString = schema["x-kubernetes-int-or-string"] === true;
  if (type === "") {
    const isFree = schema["x-kubernetes-preserve-unknown-fields"] === true;
    if (level === "root") errors.push(requiredField(at, "must not be empty at the root"));
    else if (!isIntOrString && !isFree) {
      errors.push(requiredField(at, `must not be empty for specified ${level}`));
    }
    return;
  }
  if (!TYPES.includes(type)) errors.push(notSupportedField(at, type, TYPES));
  else if (level === "root" && type !== "object") {
    errors.push(invalidField(at, type, "must be object at the root"));
  }
  if (isIntOrString) {
    const detail = "must be empty if x-kubernetes-int-or-string is true";
    errors.push(invalidField(at, type, detail));
  }
  if (type === "array" && schema.items === undefined) {
    errors.push(requiredField(path.child("items"), "must be specified"));
  }
}

function checkUnsupported(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  for (const field of UNSUPPORTED) {
    if (schema[field] === undefined) continue;
    errors.push(forbiddenField(path.child(field), `${field} is not supported`));
  }
  if (schema.uniqueItems === true) {
    const detail =
      "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    errors.push(forbiddenField(path.child("uniqueItems"), detail));
  }
  const additional = schema.additionalProperties;
  if (additional === undefined) return;
  const at = path.child("additionalProperties");
  if (schema.properties !== undefined) {
    errors.push(forbiddenField(at, "additionalProperties and properties are mutual exclusive"));
  } else if (additional === false) {
    errors.push(forbiddenField(at, "additionalProperties cannot be set to false"));
  }
}

function checkExtensions(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  if (schema["x-kubernetes-preserve-unknown-fields"] === false) {
    const at = path.child("x-kubernetes-preserve-unknown-fields");
    errors.push(invalidField(at, false, "must be true or undefined"));
  }
  if (schema["x-kubernetes-embedded-resource"] !== true) return;
  if (schema.type !== "object") {
    const detail = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(invalidField(path.child("type"), schema.type ?? "", detail));
  }
  const isFree = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (!isFree && Object.keys(schema.properties ?? {}).length === 0) {
    const detail =
      "must not be empty if x-kubernetes-embedded-resource is true without " +
      "x-kubernetes-preserve-unknown-fields";
    errors.push(requiredField(path.child("properties"), detail));
  }
}

/** The API knows what metadata, kind and apiVersion are: a schema may say little of them. */
function checkObjectFields(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  const properties = schema.properties ?? {};
  const at = path.child("properties");
  const { metadata } = properties;
  if (metadata !== undefined) {
    if (metadata.type !== "object") {
      const detail = "must be object";
      errors.push(invalidField(at.key("metadata").child("type"), metadata.type ?? "", detail));
    }
    const { type: _type, description: _description, properties: fields = {}, ...more } = metadata;
    const { name: _name, generateName: _generateName, ...others } = fields;
    if (Object.keys(more).length > 0 || Object.keys(others).length > 0) {
      const detail =
        "must not specify anything other than name and generateName, but metadata is " +
        "implicitly specified";
      errors.push(forbiddenField(at.key("metadata"), detail));
    }
  }
  for (const name of ["apiVersion", "kind"]) {
    const field = properties[name];
    if (field === undefined || field.type === "string") continue;
    errors.push(invalidField(at.key(name).child("type"), field.type ?? "", "must be string"));
  }
}

function checkPattern(errors: FieldError[], path: FieldPath, { pattern }: JSONSchemaProps): void {
  if (pattern === undefined) return;
  try {
    schemaFromOpenApi({ type: "string", pattern });
  } catch (error) {
    if (!(error instanceof OpenApiSchemaError)) throw error;
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    const detail = `must be a valid regular expression, but isn't: ${why}`;
    errors.push(invalidField(path.child("pattern"), pattern, detail));
  }
}

const RULE_REASONS = [
  "FieldValueDuplicate",
  "FieldValueForbidden",
  "FieldValueInvalid",
  "FieldValueRequired",
];

function checkRules(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  const rules = schema["x-kubernetes-validations"] ?? [];
  if (rules.length === 0) return;
  const compiler = new CelCompiler(["self", "oldSelf"]);
  const isExpression = (at: FieldPath, text: string): void => {
    try {
      compiler.compile(text);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      errors.push(invalidField(at, text, `compilation failed: ERROR: <input>: ${error.message}`));
    }
  };
  for (const [index, rule] of rules.entries()) {
    const at = path.child("x-kubernetes-validations").index(index);
    if ((rule.rule ?? "").trim() === "") {
      errors.push(requiredField(at.child("rule"), "rule is not specified"));
    } else isExpression(at.child("rule"), rule.rule);
    if (rule.messageExpression !== undefined) {
      isExpression(at.child("messageExpression"), rule.messageExpression);
    }
    if (rule.message !== undefined && rule.message.trim() === "") {
      const detail = "message must be non-empty if specified";
      errors.push(invalidField(at.child("message"), rule.message, detail));
    }
    if (rule.reason !== undefined && !RULE_REASONS.includes(rule.reason)) {
      errors.push(notSupportedField(at.child("reason"), rule.reason, RULE_REASONS));
    }
  }
}

/** A default must be what the schema allows, and is refused here rather than at each object. */
function checkDefault(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  if (schema.default === undefined) return;
  const at = path.child("default");
  try {
    const { default: value, ...plain } = schema;
    const compiled = schemaFromOpenApi(plain);
    errors.push(...checkSchema(compiled, value, at));
  } catch (error) {
    // What is wrong with the schema itself is said where it stands.
    if (!(error instanceof OpenApiSchemaError)) throw error;
  }
}

function checkChildren(
  errors: FieldError[],
  path: FieldPath,
  schema: JSONSchemaProps,
  depth: number,
): void {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const at = path.child("properties").key(name);
    checkNode(errors, at, child, { level: "object fields", depth });
  }
  if (schema.items !== undefined) {
    checkNode(errors, path.child("items"), schema.items, { level: "array items", depth });
  }
  const { additionalProperties } = schema;
  if (!isJsonObject(additionalProperties)) return;
  const at = path.child("additionalProperties");
  checkNode(errors, at, additionalProperties, { level: "object fields", depth });
}

/** allOf, anyOf, oneOf and not: they constrain, and every field they name has its structure. */
function checkConstraints(
  errors: FieldError[],
  path: FieldPath,
  constraints: JSONSchemaProps,
  structure: JSONSchemaProps,
  depth: number,
): void {
  for (const name of JUNCTORS) {
    for (const [index, part] of (constraints[name] ?? []).entries()) {
      checkConstraint(errors, path.child(name).index(index), part, structure, depth);
    }
  }
  if (constraints.not !== undefined) {
    checkConstraint(errors, path.child("not"), constraints.not, structure, depth);
  }
}

function checkConstraint(
  errors: FieldError[],
  path: FieldPath,
  constraint: JSONSchemaProps,
  structure: JSONSchemaProps,
  depth: number,
): void {
  if (depth > MAX_DEPTH) return;
  const isIntOrString = structure["x-kubernetes-int-or-string"] === true;
  for (const [field, detail] of STRUCTURE) {
    if (constraint[field] === undefined || constraint[field] === false) continue;
    if (field === "type" && isIntOrString) continue;
    errors.push(forbiddenField(path.child(field), detail));
  }
  checkPattern(errors, path, constraint);
  for (const [name, part] of Object.entries(constraint.properties ?? {})) {
    const known = structure.properties?.[name];
    const at = path.child("properties").key(name);
    if (known === undefined) {
      const additional = structure.additionalProperties;
      const isFree = structure["x-kubernetes-preserve-unknown-fields"] === true;
      if (isJsonObject(additional) || isFree) continue;
      errors.push(requiredField(at, `because it is defined in ${String(at)}`));
    } else checkConstraint(errors, at, part, known, depth + 1);
  }
  if (constraint.items !== undefined && structure.items !== undefined) {
    checkConstraint(errors, path.child("items"), constraint.items, structure.items, depth + 1);
  }
  checkConstraints(errors, path, constraint, structure, depth + 1);
}
