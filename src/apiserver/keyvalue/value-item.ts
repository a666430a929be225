import type { StoredValue } from "../../registry/index.ts";

/** A value in JSON: its bytes are base64. */
export function valueItem({ key, value, revision }: StoredValue): Record<string, string> {
  return { key, value: Buffer.from(value).toString("base64"), resourceVersion: String(revision) };
}
