import { findKind, type ResourceDefinition } from "../api/index.ts";
import {
  apiVersionOf,
  badRequest,
  DecodeError,
  decodeInto,
  groupVersionKindOf,
  type GroupVersionKind,
  isJsonObject,
  type KubeObject,
} from "../apimachinery/index.ts";
import type { DecodedBody } from "./request-body.ts";

/** What happens to fields that a kind does not have, or that are given twice. */
export type FieldValidation = "Strict" | "Warn" | "Ignore";

export interface IntakeOptions {
  readonly fieldValidation: FieldValidation;
  /** Collects what "Warn" has to say. */
  readonly warnings: string[];
  /** "left-out" where an absent field means something: finalize takes finalizers out. */
  readonly defaults?: "left-out";
}

/**
 * Turns a parsed body into an object of the kind: of the right type, without unknown fields,
 * defaults filled in. Throws 400 for anything else.
 */
export function intake(
  definition: ResourceDefinition,
  body: DecodedBody,
  options: IntakeOptions,
): KubeObject {
  const object = asObject(body.value, definition);
  assertKind(definition, object);
  let unknown: string[];
  try {
    unknown = decodeInto(definition.schema, object);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(cannotHandle(definition, error.message));
    throw error;
  }
  const complaints = [...body.duplicates, ...unknown];
  if (complaints.length > 0) {
    if (options.fieldValidation === "Strict") {
      const why = `strict decoding error: ${complaints.join(", ")}`;
      throw badRequest(cannotHandle(definition, why));
    }
    if (options.fieldValidation === "Warn") options.warnings.push(...complaints);
  }
  if (options.defaults === undefined) complete(definition, object);
  else object.metadata ??= {};
  return object;
}

/** Sets what every stored object has: its type, metadata and defaults. */
export function complete(definition: ResourceDefinition, object: KubeObject): void {
  object.kind = definition.kind;
  object.apiVersion = apiVersionOf(definition);
  object.metadata ??= {};
  definition.defaults(object);
}

/** The start of every message about a body of the wrong shape. */
export function cannotHandle({ kind, version }: ResourceDefinition, why: string): string {
  return `${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`;
}

function asObject(value: unknown, { kind }: ResourceDefinition): KubeObject {
  if (isJsonObject(value)) {
    for (const field of ["apiVersion", "kind"]) assertText(value[field], field, kind);
    return value as unknown as KubeObject;
  }
  const found = typeName(value);
  throw badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; ` +
      `json parse error: json: cannot unmarshal ${found} into Go value of type ` +
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; ' +
      'Kind string "json:\\"kind,omitempty\\"" }',
  );
}

function assertText(value: unknown, field: string, kind: string): void {
  if (value === undefined || value === null || typeof value === "string") return;
  throw badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; ` +
      `json parse error: json: cannot unmarshal ${typeName(value)} ` +
      `into Go struct field .${field} of type string`,
  );
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** What the body does not say about its type is taken from the path. */
function assertKind(definition: ResourceDefinition, object: KubeObject): void {
  object.kind ||= definition.kind;
  object.apiVersion ||= apiVersionOf(definition);
  const expected = apiVersionOf(definition);
  const why = foreignKind(definition, object);
  if (why === undefined) return;
  const given = groupVersionKindOf(object);
  if (given === undefined) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${definition.kind}): ${why}`,
    );
  }
  if (given.group === definition.group && given.kind === definition.kind && isServed(given)) {
    throw badRequest(
      `the API version in the data (${object.apiVersion}) ` +
        `does not match the expected API version (${expected})`,
    );
  }
  const kind = `${given.kind} in version "${given.version}"`;
  throw badRequest(`${kind} cannot be handled as a ${definition.kind}: ${why}`);
}

/** Why an object is not of the kind, in Kubernetes' words; undefined when it is. */
export function foreignKind(
  definition: ResourceDefinition,
  object: KubeObject,
): string | undefined {
  const { kind, apiVersion } = object;
  if (kind === definition.kind && apiVersion === apiVersionOf(definition)) return undefined;
  const given = groupVersionKindOf(object);
  if (given === undefined) return `unexpected GroupVersion string: ${apiVersion}`;
  return isServed(given)
    ? `converting (${goType(given)}) to (${goType(definition)}): unknown conversion`
    : `no kind "${given.kind}" is registered for version "${apiVersion}"`;
}

function isServed({ group, version, kind }: GroupVersionKind): boolean {
  return findKind(group, version, kind) !== undefined;
}

function goType({ version, kind }: { readonly version: string; readonly kind: string }): string {
  return `${version}.${kind}`;
}
