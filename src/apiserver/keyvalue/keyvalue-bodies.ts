import { z } from "zod";
import { badRequest } from "../../apimachinery/index.ts";

/** What `read` takes. */
const keysSchema = z.strictObject({ keys: z.array(z.string()) });

/** What `batch` takes; values are base64. */
const batchSchema = z.strictObject({
  set: z.array(z.strictObject({ key: z.string(), value: z.base64() })).default([]),
  delete: z.array(z.string()).default([]),
});

export interface Batch {
  readonly set: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly delete: readonly string[];
}

/** `{"keys": ["a", "b"]}`. Throws 400. */
export function decodeKeys(body: Uint8Array): readonly string[] {
  return decode(keysSchema, body).keys;
}

/** `{"set": [{"key": "a", "value": "MQ=="}], "delete": ["b"]}`. Throws 400. */
export function decodeBatch(body: Uint8Array): Batch {
  const { set, delete: deleted } = decode(batchSchema, body);
  return {
    set: set.map(({ key, value }) => ({ key, value: Buffer.from(value, "base64") })),
    delete: deleted,
  };
}

function decode<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  const parsed = schema.safeParse(jsonOf(body));
  if (parsed.success) return parsed.data;
  throw badRequest(`the body is not as it should be: ${z.prettifyError(parsed.error)}`);
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch (error) {
    throw badRequest(`the body is no JSON: ${(error as Error).message}`);
  }
}
