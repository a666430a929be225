import {
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
} from "../../../apimachinery/index.ts";
import type { JSONSchemaProps } from "./types.ts";

const LIST_TYPE = "x-kubernetes-list-type";
const MAP_KEYS = "x-kubernetes-list-map-keys";
const MAP_TYPE = "x-kubernetes-map-type";
const LIST_TYPES = ["atomic", "map", "set"];
const MAP_TYPES = ["atomic", "granular"];
const SCALARS = new Set(["string", "boolean", "integer", "number"]);

/** How lists and maps merge: said only of lists and maps, and with keys that every item has. */
export function checkListAndMapTypes(
  errors: FieldError[],
  path: FieldPath,
  schema: JSONSchemaProps,
): void {
  const { type = "", [LIST_TYPE]: listType, [MAP_KEYS]: keys, [MAP_TYPE]: mapType } = schema;
  if (listType !== undefined) {
    checkTypeIs(errors, path, type, "array", LIST_TYPE);
    if (!LIST_TYPES.includes(listType)) {
      errors.push(notSupportedField(path.child(LIST_TYPE), listType, LIST_TYPES));
    }
  }
  if (keys !== undefined && keys.length > 0 && listType !== "map") {
    const detail = `must be map if ${MAP_KEYS} is non-empty`;
    const at = path.child(LIST_TYPE);
    errors.push(
      listType === undefined ? requiredField(at, detail) : invalidField(at, listType, detail),
    );
  }
  if (mapType !== undefined) {
    checkTypeIs(errors, path, type, "object", MAP_TYPE);
    if (!MAP_TYPES.includes(mapType)) {
      errors.push(notSupportedField(path.child(MAP_TYPE), mapType, MAP_TYPES));
    }
  }
  if (listType === "map") checkMapKeys(errors, path, schema);
  if (listType === "set") checkSetItems(errors, path, schema);
}

function checkTypeIs(
  errors: FieldError[],
  path: FieldPath,
  type: string,
  wanted: string,
  extension: string,
): void {
  if (type === wanted) return;
  const detail = `must be ${wanted} if ${extension} is specified`;
  const at = path.child("type");
  errors.push(type === "" ? requiredField(at, detail) : invalidField(at, type, detail));
}

function checkMapKeys(errors: FieldError[], path: FieldPath, schema: JSONSchemaProps): void {
  const { items, [MAP_KEYS]: keys = [] } = schema;
  if (keys.length === 0) {
    const detail = `must not be empty if ${LIST_TYPE} is map`;
    errors.push(requiredField(path.child(MAP_KEYS), detail));
  }
  const at = path.child("items");
  if (items === undefined) {
    errors.push(requiredField(at, `must have a schema if ${LIST_TYPE} is map`));
    return;
  }
  if (items.type !== "object") {
    const detail = `must be object if parent array's ${LIST_TYPE} is map`;
    errors.push(invalidField(at.child("type"), items.type ?? "", detail));
  }
  if (items.nullable === true) {
    const detail = `cannot be nullable if parent array's ${LIST_TYPE} is map`;
    errors.push(forbiddenField(at.child("nullable"), detail));
  }
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    const keyAt = path.child(MAP_KEYS).index(index);
    if (seen.has(key))
      errors.push({ ...invalidField(keyAt, key, ""), type: "FieldValueDuplicate" });
    seen.add(key);
    checkMapKey(errors, { at: keyAt, items: at, key, schema: items });
  }
}

interface MapKey {
  readonly at: FieldPath;
  readonly items: FieldPath;
  readonly key: string;
  readonly schema: JSONSchemaProps;
}

function checkMapKey(errors: FieldError[], { at, items, key, schema }: MapKey): void {
  const properties = schema.properties ?? {};
  const property = Object.hasOwn(properties, key) ? schema.properties?.[key] : undefined;
  if (property === undefined) {
    errors.push(invalidField(at, key, "entries must all be names of item properties"));
    return;
  }
  const where = items.child("properties").key(key);
  if (!SCALARS.has(property.type ?? "") && property["x-kubernetes-int-or-string"] !== true) {
    const detail = `must be a scalar type if parent array's ${LIST_TYPE} is map`;
    errors.push(invalidField(where.child("type"), property.type ?? "", detail));
  }
  const required = schema.required?.includes(key) === true;
  if (!required && property.default === undefined) {
    const why = "so it must have a default or be a required property";
    const detail = `this property is in ${MAP_KEYS}, ${why}`;
    errors.push(requiredField(where.child("default"), detail));
  }
}

function checkSetItems(errors: FieldError[], path: FieldPath, { items }: JSONSchemaProps): void {
  if (items === undefined) return;
  const at = path.child("items");
  if (items.nullable === true) {
    const detail = `cannot be nullable if parent array's ${LIST_TYPE} is set`;
    errors.push(forbiddenField(at.child("nullable"), detail));
  }
  const atomic = `must be atomic as item of a list with ${LIST_TYPE}=set`;
  if (items.type === "object" && items[MAP_TYPE] !== "atomic") {
    errors.push(invalidField(at.child(MAP_TYPE), items[MAP_TYPE] ?? null, atomic));
  }
  const isAtomicList = items[LIST_TYPE] === undefined || items[LIST_TYPE] === "atomic";
  if (items.type === "array" && !isAtomicList) {
    errors.push(invalidField(at.child(LIST_TYPE), items[LIST_TYPE], atomic));
  }
}
