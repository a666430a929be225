import type { HttpHeaders } from "../../preview2/preview-two.ts";

/** How a body that a guest writes ended: with trailers or none, or broken off. */
export type AnswerEnd =
  | { readonly kind: "finished"; readonly trailers: HttpHeaders | undefined }
  | { readonly kind: "broken"; readonly reason: Error };

/** A body that a guest may still write. Whoever sends it takes no more than the client does. */
export interface AnswerBody {
  /** All bytes that are there, in one piece; undefined for none. */
  take(): Uint8Array | undefined;
  readonly heldBytes: number;
  /** Set once no more will come; there may still be bytes to take. */
  readonly ended: AnswerEnd | undefined;
  /** Calls back whenever bytes or the end came. */
  onChange(callback: (() => void) | undefined): void;
  /** Nobody sends it any more. */
  cancel(): void;
}

export interface Answer {
  readonly status: number;
  /** Without those about the connection and the body's length, which the front writes itself. */
  readonly headers: HttpHeaders;
  /** Bytes when all of it is there. */
  readonly body: AnswerBody | Uint8Array;
  /** The length that the guest declared, of a body that it may still write or that HEAD hides. */
  readonly declaredLength?: number | undefined;
  /** What follows a body that is there; others have theirs in their end. */
  readonly trailers?: HttpHeaders | undefined;
}

/** Answers that have no body, whatever the guest wrote. */
export function isBodiless(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}
