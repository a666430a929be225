import { badRequest } from "../apimachinery/index.ts";
import type { Revision } from "../store/index.ts";

/** Where the next page of a list starts, and which state of the store all pages show. */
export interface ContinueToken {
  readonly revision: Revision;
  /** The last name (or namespace/name) of the page before. */
  readonly after: string;
}

const VERSION = "meta.k8s.io/v1";

export function encodeContinue(token: ContinueToken): string {
  const fields = { v: VERSION, rv: token.revision, start: token.after };
  return Buffer.from(JSON.stringify(fields)).toString("base64url");
}

/** Throws 400 for a text that {@link encodeContinue} did not make. */
export function decodeContinue(text: string): ContinueToken {
  const { v, rv, start } = parse(text);
  // -1 asks for the present state: what an expired list continues with.
  const validRevision = typeof rv === "number" && Number.isSafeInteger(rv) && rv >= -1;
  if (v !== VERSION || !validRevision || typeof start !== "string" || start === "") {
    throw badRequest("continue key is not valid: it is not one that this server gave out");
  }
  return { revision: rv as Revision, after: start };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    throw badRequest(`continue key is not valid: ${(error as Error).message}`);
  }
}
