import { cloneJson, getField, isJsonObject, type JsonObject, setField } from "./json-value.ts";
import { badRequest } from "./status-error.ts";

/**
 * JSON merge patch (RFC 7386): objects merge, null deletes, all else replaces. The document stays
 * as it is. Throws 400 when the patch is no object.
 */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) throw badRequest("a merge patch is a JSON object");
  return merge(document, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return cloneJson(patch);
  const result: JsonObject = isJsonObject(target) ? shallowCopy(target) : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete result[key];
    else setField(result, key, merge(getField(result, key), value));
  }
  return result;
}

function shallowCopy(object: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const key of Object.keys(object)) setField(copy, key, object[key]);
  return copy;
}
