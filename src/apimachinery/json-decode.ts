import { findJsonProblem } from "./json-scanner.ts";
import { isJsonObject } from "./json-value.ts";

/** Deeper than any object of the API, shallow enough to recurse over. */
export const MAX_JSON_DEPTH = 400;
/** The request body limit of Kubernetes. */
export const MAX_JSON_BYTES = 3 * 1024 * 1024;

export interface JsonDecodeOptions {
  /** Name each field that an object has twice; costs a second look at the text. */
  readonly duplicates?: "report" | "ignore";
  readonly maxDepth?: number;
  readonly maxBytes?: number;
}

export interface DecodedJson {
  readonly value: unknown;
  /** `duplicate field "spec.replicas"`; the last value is the one that counts. */
  readonly duplicates: readonly string[];
}

/** A text that is no JSON, in the words of Go's decoder, or one that is too large or too deep. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  readonly code: "syntax" | "too-deep" | "too-large";

  constructor(code: "syntax" | "too-deep" | "too-large", message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Parses JSON. The native parser does the work; one scan over the bytes bounds the depth and
 * counts fields, and only a text with more fields than its value is searched for duplicates.
 * Throws {@link JsonError}.
 */
export function jsonDecode(
  input: Uint8Array | string,
  options: JsonDecodeOptions = {},
): DecodedJson {
  const maxBytes = options.maxBytes ?? MAX_JSON_BYTES;
  const maxDepth = options.maxDepth ?? MAX_JSON_DEPTH;
  // A string has at most three bytes a UTF-16 unit, and never fewer than one.
  if (input.length > maxBytes) throw new JsonError("too-large", `limit is ${maxBytes}`);
  const text = typeof input === "string" ? input : new TextDecoder().decode(input);
  const shape = measure(text);
  if (shape.depth > maxDepth) throw new JsonError("too-deep", "exceeded max depth");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { syntaxError } = findJsonProblem(text);
    throw new JsonError("syntax", syntaxError ?? String(error));
  }
  const isSuspect = options.duplicates === "report" && shape.fields !== countFields(value);
  return { value, duplicates: isSuspect ? findJsonProblem(text).duplicates : [] };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Depth of nesting and number of fields of a JSON text; nonsense, but bounded, of any other. */
function measure(text: string): { depth: number; fields: number } {
  let depth = 0;
  let deepest = 0;
  let fields = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = endOfString(text, index);
        break;
      case 0x3a: // :
        fields++;
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > deepest) deepest = depth;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      default:
    }
  }
  return { depth: deepest, fields };
}

/** Index of the quote that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

function countFields(value: unknown): number {
  let fields = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === "object") fields += countFields(item);
  } else if (isJsonObject(value)) {
    for (const key in value) {
      fields++;
      const child = value[key];
      if (typeof child === "object") fields += countFields(child);
    }
  }
  return fields;
}
