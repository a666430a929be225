/** Both ends belong to the range, as in HTTP. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads a Range field with one range of bytes (RFC 9110 section 14.1.2). Undefined means that the
 * whole is to be sent; `unsatisfiable` that nothing of what is asked for exists.
 */
export function parseRange(
  field: string | null,
  sizeBytes: number,
): ByteRange | "unsatisfiable" | undefined {
  const parts = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(field ?? "");
  if (parts === null) return undefined;
  const [, from = "", to = ""] = parts;
  if (from === "" && to === "") return undefined;
  if (from === "") {
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? "unsatisfiable" : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const first = Number(from);
  const last = to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (to !== "" && Number(to) < first) return undefined;
  return first >= sizeBytes ? "unsatisfiable" : { first, last };
}

/** The first and last byte a chunk of an upload says it has: `0-1023`. */
export function parseContentRange(field: string): ByteRange | undefined {
  const parts = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(field.trim());
  if (parts === null) return undefined;
  const range = { first: Number(parts[1]), last: Number(parts[2]) };
  return range.last < range.first ? undefined : range;
}
