import type { HttpHeaders } from "../preview-two.ts";
import { isForbiddenField } from "./fields.ts";

/** How the body of a request is framed. */
export type RequestFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" };

/** A request as it goes to the egress. */
export interface EgressHead {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: HttpHeaders;
  readonly connectTimeoutMs: number | undefined;
  /** Asks the egress itself for the addresses of a name. */
  readonly resolve?: string;
}

/** The bytes of a request's head: origin form, the target in Host, the rest for the egress. */
export function encodeHead(head: EgressHead, framing: RequestFraming): Uint8Array {
  const lines = [
    `${head.method} ${encodeTarget(head.pathWithQuery)} HTTP/1.1`,
    `host: ${head.authority}`,
    // A guest can always ask what follows a response.
    "te: trailers",
    "connection: te",
  ];
  if (head.scheme === "https") lines.push("x-kubun-scheme: https");
  if (head.resolve !== undefined) lines.push(`x-kubun-resolve: ${head.resolve}`);
  if (head.connectTimeoutMs !== undefined) {
    lines.push(`x-kubun-connect-timeout-ms: ${Math.ceil(head.connectTimeoutMs)}`);
  }
  for (const [name, value] of head.headers) {
    // The framing is ours; the rest cannot be there, and must not if it were.
    if (name.toLowerCase() === "content-length" || isForbiddenField(name)) continue;
    lines.push(`${name}: ${Buffer.from(value).toString("latin1")}`);
  }
  if (framing.kind === "length") lines.push(`content-length: ${framing.bytes}`);
  if (framing.kind === "chunked") lines.push("transfer-encoding: chunked");
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** What is not ASCII is percent-encoded UTF-8; the rest stays as the guest wrote it. */
function encodeTarget(pathWithQuery: string): string {
  const target = pathWithQuery === "" ? "/" : pathWithQuery;
  const path = target.startsWith("?") ? `/${target}` : target;
  return path.replace(/[\u0080-\u{10ffff}]+/gu, (text) => encodeURIComponent(text.toWellFormed()));
}

/** One chunk of a chunked body; the empty one is the end, which trailers follow. */
export function encodeChunk(bytes: Uint8Array): Uint8Array {
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`, "latin1");
  return Buffer.concat([size, bytes, CRLF]);
}

const CRLF = Buffer.from("\r\n");

export function encodeLastChunk(trailers: HttpHeaders | undefined): Uint8Array {
  const lines = (trailers ?? [])
    .filter(([name]) => !isForbiddenField(name) && name.toLowerCase() !== "content-length")
    .map(([name, value]) => `${name}: ${Buffer.from(value).toString("latin1")}\r\n`);
  return Buffer.from(`0\r\n${lines.join("")}\r\n`, "latin1");
}
