import { unreachable } from "../lib/index.ts";
import { cloneJson, getField, isJsonObject, jsonEquals, setField } from "./json-value.ts";
import { badRequest, requestEntityTooLarge, StatusError, unprocessable } from "./status-error.ts";

/** More operations than this are refused with 413. */
export const MAX_JSON_PATCH_OPERATIONS = 10_000;
/** How much text all "copy" operations of one patch may add. */
export const MAX_JSON_PATCH_COPY_BYTES = 3 * 1024 * 1024;

type Operation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move" | "copy"; readonly path: string; readonly from: string };

/**
 * JSON patch (RFC 6902). The document stays as it is. Throws 400 for what is no patch, 422 for one
 * that does not fit the document, 413 for one that is too large.
 */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    throw badRequest("error decoding patch: a JSON patch is a list of operations");
  }
  if (patch.length > MAX_JSON_PATCH_OPERATIONS) {
    const limit = MAX_JSON_PATCH_OPERATIONS;
    throw requestEntityTooLarge(
      `The allowed maximum operations in a JSON patch is ${limit}, got ${patch.length}`,
    );
  }
  const operations = patch.map(parseOperation);
  const target = new PatchTarget(cloneJson(document));
  for (const operation of operations) target.apply(operation);
  return target.document;
}

function parseOperation(raw: unknown): Operation {
  const bad = (why: string): StatusError =>
    badRequest(`error decoding patch: ${why}: ${JSON.stringify(raw)}`);
  if (!isJsonObject(raw)) throw bad("an operation is an object");
  const { op, path, from, value } = raw;
  if (typeof path !== "string") throw bad("an operation needs a path");
  switch (op) {
    case "add":
    case "replace":
    case "test":
      if (value === undefined && op !== "test") throw bad(`"${op}" needs a value`);
      return { op, path, value: value ?? null };
    case "remove":
      return { op, path };
    case "move":
    case "copy":
      if (typeof from !== "string") throw bad(`"${op}" needs a from path`);
      return { op, path, from };
    default:
      throw bad("op is one of add, remove, replace, move, copy, test");
  }
}

/** What the client sees is Kubernetes' fixed sentence; the cause says what went wrong. */
function doesNotFit(path: string, why: string): StatusError {
  const { status } = unprocessable(
    "the server rejected our request due to an error in our request",
  );
  return new StatusError({ ...status, details: { causes: [{ field: path, message: why }] } });
}

class PatchTarget {
  document: unknown;
  #copiedBytes = 0;

  constructor(document: unknown) {
    this.document = document;
  }

  apply(operation: Operation): void {
    const { op, path } = operation;
    switch (op) {
      case "add":
        return this.#add(path, operation.value);
      case "replace":
        this.#get(path);
        return this.#replace(path, operation.value);
      case "remove":
        return this.#remove(path);
      case "test":
        return this.#test(path, operation.value);
      case "copy":
        return this.#copy(operation.from, path);
      case "move":
        return this.#move(operation.from, path);
      default:
        return unreachable(operation);
    }
  }

  #test(path: string, expected: unknown): void {
    const actual = expected === null ? this.#find(path) : this.#get(path);
    if (!jsonEquals(actual ?? null, expected)) throw doesNotFit(path, "test failed");
  }

  #copy(from: string, path: string): void {
    const value = cloneJson(this.#get(from));
    this.#copiedBytes += JSON.stringify(value).length;
    if (this.#copiedBytes > MAX_JSON_PATCH_COPY_BYTES) {
      throw requestEntityTooLarge(
        `copy operations of a JSON patch may add ${MAX_JSON_PATCH_COPY_BYTES} bytes at most`,
      );
    }
    this.#add(path, value);
  }

  #move(from: string, path: string): void {
    if (path.startsWith(`${from}/`)) throw doesNotFit(path, `cannot move ${from} into itself`);
    const value = this.#get(from);
    if (path === from) return;
    this.#remove(from);
    this.#add(path, value);
  }

  #add(path: string, value: unknown): void {
    const segments = parsePointer(path);
    const key = segments.pop();
    if (key === undefined) {
      this.document = cloneJson(value);
      return;
    }
    const parent = this.#walk(segments, path);
    if (Array.isArray(parent)) {
      const index = key === "-" ? parent.length : listIndex(key, parent.length, path);
      parent.splice(index, 0, cloneJson(value));
    } else if (isJsonObject(parent)) setField(parent, key, cloneJson(value));
    else throw doesNotFit(path, "the parent is neither an object nor a list");
  }

  #replace(path: string, value: unknown): void {
    const segments = parsePointer(path);
    const key = segments.pop();
    if (key === undefined) {
      this.document = cloneJson(value);
      return;
    }
    const parent = this.#walk(segments, path);
    if (Array.isArray(parent)) parent[Number(key)] = cloneJson(value);
    else if (isJsonObject(parent)) setField(parent, key, cloneJson(value));
  }

  #remove(path: string): void {
    this.#get(path);
    const segments = parsePointer(path);
    const key = segments.pop();
    if (key === undefined) throw doesNotFit(path, "the whole document cannot be removed");
    const parent = this.#walk(segments, path);
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else if (isJsonObject(parent)) delete parent[key];
  }

  #get(path: string): unknown {
    return this.#walk(parsePointer(path), path);
  }

  /** Like get, but undefined where there is nothing. */
  #find(path: string): unknown {
    const segments = parsePointer(path);
    let value = this.document;
    for (const segment of segments) {
      value = childOf(value, segment);
      if (value === undefined) return undefined;
    }
    return value;
  }

  #walk(segments: readonly string[], path: string): unknown {
    let value = this.document;
    for (const segment of segments) {
      value = childOf(value, segment);
      if (value === undefined) throw doesNotFit(path, `nothing is at "${segment}"`);
    }
    return value;
  }
}

function childOf(value: unknown, segment: string): unknown {
  if (Array.isArray(value)) return INDEX.test(segment) ? value[Number(segment)] : undefined;
  return isJsonObject(value) ? getField(value, segment) : undefined;
}

const INDEX = /^(?:0|[1-9][0-9]{0,8})$/;

/** An index at which an item can be inserted. */
function listIndex(segment: string, length: number, path: string): number {
  if (INDEX.test(segment) && Number(segment) <= length) return Number(segment);
  throw doesNotFit(path, `"${segment}" is no index of a list of ${length}`);
}

/** A JSON pointer (RFC 6901): "" is the document, "~1" is a slash, "~0" a tilde. */
function parsePointer(path: string): string[] {
  if (path === "") return [];
  if (!path.startsWith("/")) throw doesNotFit(path, "a path is empty or starts with a slash");
  return path
    .slice(1)
    .split("/")
    .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}
