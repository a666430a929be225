import { unreachable } from "../lib/index.ts";
import { DecodeError, TypeMismatch } from "./decode-error.ts";
import { goQuote } from "./go-text.ts";
import { jsonTypeName } from "./json-value.ts";
import { canonicalQuantity, QuantityError } from "./quantity.ts";
import type { ScalarKind, Schema } from "./schema.ts";
import { parseRfc3339, rfc3339, rfc3339Micro } from "./time.ts";

type LeafKind = ScalarKind | "int-or-string";

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const INT64_BOUND = 2 ** 63;

/**
 * The value in its canonical form; null stands for a time that is absent.
 * Throws {@link TypeMismatch} or {@link DecodeError}.
 */
export function decodeScalar(kind: LeafKind, value: unknown): unknown {
  switch (kind) {
    case "string":
      if (typeof value === "string") return value;
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "int32":
    case "int64":
      if (typeof value === "number" && isInteger(kind, value)) return value;
      break;
    case "number":
      if (typeof value === "number") return value;
      break;
    case "byte":
      if (typeof value === "string") return decodeBase64(value);
      break;
    case "time":
    case "micro-time":
      if (typeof value === "string") return decodeTime(kind, value);
      throw new TypeMismatch(value, "string", { isStandalone: true });
    case "quantity":
      return decodeQuantity(value);
    case "int-or-string":
      if (typeof value === "string") return value;
      if (typeof value === "number" && isInteger("int32", value)) return value;
      throw new TypeMismatch(value, "int32", { isStandalone: true });
    default:
      return unreachable(kind);
  }
  throw new TypeMismatch(value, goTypeName({ kind }));
}

/** The Go type behind a schema: "int32", "[]v1.Container", "map[string]string". */
export function goTypeName(schema: Schema): string {
  switch (schema.kind) {
    case "object":
      return schema.typeName.split(".").slice(-2).join(".");
    case "map":
      return `map[string]${goTypeName(schema.values)}`;
    case "list":
      return `[]${goTypeName(schema.items)}`;
    case "any":
      return "runtime.RawExtension";
    case "int-or-string":
      return "intstr.IntOrString";
    case "quantity":
      return "resource.Quantity";
    case "time":
    case "micro-time":
      return "string";
    case "byte":
      return "[]uint8";
    case "boolean":
      return "bool";
    case "number":
      return "float64";
    case "string":
    case "int32":
    case "int64":
      return schema.kind;
  }
}

function isInteger(kind: "int32" | "int64", value: number): boolean {
  if (!Number.isInteger(value)) return false;
  return kind === "int32"
    ? value >= INT32_MIN && value <= INT32_MAX
    : value >= -INT64_BOUND && value <= INT64_BOUND;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Line breaks are allowed and dropped, as Go's decoder does. */
function decodeBase64(text: string): string {
  if (BASE64.test(text)) return text;
  const packed = text.replace(/[\r\n]/g, "");
  if (BASE64.test(packed)) return packed;
  const wrong = /[^A-Za-z0-9+/\r\n]/.exec(text)?.index ?? text.length - (text.length % 4);
  throw new DecodeError(`illegal base64 data at input byte ${wrong}`);
}

function decodeTime(kind: "time" | "micro-time", text: string): string | null {
  if (text === "") return null;
  const ms = parseRfc3339(text);
  if (Number.isNaN(ms)) {
    const layout =
      kind === "time" ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
    const quoted = goQuote(text);
    throw new DecodeError(
      `parsing time ${quoted} as ${goQuote(layout)}: cannot parse ${quoted} as "2006"`,
    );
  }
  return kind === "time" ? rfc3339(ms) : rfc3339Micro(ms);
}

function decodeQuantity(value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number") {
    throw new DecodeError(quantityMessage(value));
  }
  try {
    return canonicalQuantity(String(value).trim());
  } catch (error) {
    if (error instanceof QuantityError) throw new DecodeError(error.message, { cause: error });
    throw error;
  }
}

function quantityMessage(value: unknown): string {
  return `unable to parse quantity from JSON ${jsonTypeName(value)}`;
}
