import { fieldErrorText, type KubeObject } from "../../apimachinery/index.ts";
import type { ResourceDefinition } from "../resource-definition.ts";
import { findKind } from "../resource-definitions.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The definition of "v1 Pod" or "apps/v1 Deployment". */
export function definitionOf(type: string): ResourceDefinition {
  const [apiVersion = "", kind = ""] = type.split(" ");
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const definition = findKind(group ?? "", version ?? "", kind);
  if (definition === undefined) throw new Error(`${type} is not served`);
  return definition;
}

/** An object as a client sends it, with the defaults of its kind filled in. */
export function defaulted<T extends KubeObject>(type: string, fields: Fields): T {
  const definition = definitionOf(type);
  const metadata = { name: "x", ...(definition.namespaced ? { namespace: "default" } : {}) };
  const object: KubeObject = { metadata, ...structuredClone(fields) };
  definition.defaults(object);
  return object as T;
}

/** What is wrong with an object, as messages. */
export function complaints(type: string, fields: Fields): string[] {
  return definitionOf(type).validate(defaulted(type, fields)).map(fieldErrorText);
}

/** What is wrong with a change, as messages. */
export function updateComplaints(type: string, next: Fields, old: Fields): string[] {
  const definition = definitionOf(type);
  return definition.validateUpdate(defaulted(type, next), defaulted(type, old)).map(fieldErrorText);
}

/** The cells of an object by the names of their columns. */
export function cells(type: string, fields: Fields, now: number): Record<string, unknown> {
  const definition = definitionOf(type);
  const row = definition.row(defaulted(type, fields), now);
  return Object.fromEntries(definition.columns.map(({ name }, index) => [name, row[index]]));
}
