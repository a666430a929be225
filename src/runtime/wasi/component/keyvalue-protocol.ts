/**
 * What a worker asks of its node about key-value stores, over the Unix socket `keyvalue` of its
 * pod. A frame is the length of what follows (4 bytes, big endian), the length of its head
 * (4 bytes), the head as JSON, and bytes: a value. Calls go out as they come, answers come back as
 * they are ready, and the id tells which belongs to which.
 *
 * Checked by hand instead of with zod, which takes long to load in a worker.
 */

/** What a guest may do with a store. `expected` is a revision, 0 for "there is no such key". */
export type KeyvalueCall =
  | { readonly op: "get" | "exists"; readonly store: string; readonly key: string }
  | {
      readonly op: "set";
      readonly store: string;
      readonly key: string;
      readonly expected?: number;
      readonly value: Uint8Array;
    }
  | { readonly op: "delete"; readonly store: string; readonly key: string }
  | {
      readonly op: "increment";
      readonly store: string;
      readonly key: string;
      /** Decimal. */
      readonly delta: string;
    }
  | { readonly op: "keys"; readonly store: string; readonly cursor?: string };

export type KeyvalueAnswer =
  | { readonly type: "value"; readonly value: Uint8Array; readonly revision: number }
  /** There is no such key. */
  | { readonly type: "absent" }
  | { readonly type: "exists" }
  | { readonly type: "done"; readonly revision: number }
  /** Decimal. */
  | { readonly type: "number"; readonly number: string }
  | { readonly type: "keys"; readonly keys: readonly string[]; readonly cursor?: string }
  | { readonly type: "refused"; readonly why: KeyvalueRefusal; readonly message: string };

/** `conflict`: another revision was expected. `denied`: the node may not, or the pod. */
export type KeyvalueRefusal = "conflict" | "denied" | "other";

/** Of a key as UTF-8, and of one value. What is larger is not sent: the API refuses it as well. */
export const MAX_KEY_BYTES = 1024;
export const MAX_VALUE_BYTES = 1024 * 1024;
/** A value with what stands before it. */
export const MAX_CALL_FRAME_BYTES = MAX_VALUE_BYTES + 64 * 1024;
/** A value with what stands before it, or the keys of a page. */
export const MAX_ANSWER_FRAME_BYTES = 8 * 1024 * 1024;
/** Calls that one container may have under way; what is beyond waits or is refused. */
export const MAX_CALLS_UNDER_WAY = 256;

const LENGTHS_BYTES = 8;
const NO_BYTES = new Uint8Array();

/** What does not follow the protocol; the connection ends. */
export class KeyvalueProtocolError extends Error {
  override readonly name = "KeyvalueProtocolError";
}

export function encodeCall(id: number, call: KeyvalueCall): Uint8Array {
  if (call.op !== "set") return frame({ id, ...call }, NO_BYTES);
  const { value, ...head } = call;
  return frame({ id, ...head }, value);
}

export function encodeAnswer(id: number, answer: KeyvalueAnswer): Uint8Array {
  if (answer.type !== "value") return frame({ id, ...answer }, NO_BYTES);
  const { value, ...head } = answer;
  return frame({ id, ...head }, value);
}

/** Throws {@link KeyvalueProtocolError}. */
export function decodeCall({ head, bytes }: Frame): { id: number; call: KeyvalueCall } {
  const store = text(head, "store");
  const id = count(head, "id");
  switch (head["op"]) {
    case "get":
    case "exists":
    case "delete":
      return { id, call: { op: head["op"], store, key: text(head, "key") } };
    case "set": {
      const expected = head["expected"] === undefined ? {} : { expected: count(head, "expected") };
      return { id, call: { op: "set", store, key: text(head, "key"), ...expected, value: bytes } };
    }
    case "increment": {
      const delta = text(head, "delta");
      return { id, call: { op: "increment", store, key: text(head, "key"), delta } };
    }
    case "keys": {
      const cursor = head["cursor"] === undefined ? {} : { cursor: text(head, "cursor") };
      return { id, call: { op: "keys", store, ...cursor } };
    }
    default:
      throw new KeyvalueProtocolError(`op: ${JSON.stringify(head["op"])} is unknown`);
  }
}

/** The node is trusted by its workers: only the shape that both agree on is looked at. */
export function decodeAnswer({ head, bytes }: Frame): { id: number; answer: KeyvalueAnswer } {
  const { id: _id, ...rest } = head;
  const answer = (rest["type"] === "value"
    ? { ...rest, value: bytes }
    : rest) as unknown as KeyvalueAnswer;
  return { id: count(head, "id"), answer };
}

export interface Frame {
  readonly head: Readonly<Record<string, unknown>>;
  /** A copy of its own. */
  readonly bytes: Uint8Array;
}

/** Puts frames together from what a socket brings. */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Bytes that the present frame has, its lengths included; 0 until they are known. */
  #wanted = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that are whole now. Throws {@link KeyvalueProtocolError}. */
  push(chunk: Uint8Array): Frame[] {
    // The socket's buffer is used again for what comes next.
    this.#chunks.push(chunk.slice());
    this.#held += chunk.length;
    const frames: Frame[] = [];
    while (this.#held >= Math.max(this.#wanted, LENGTHS_BYTES)) {
      const held = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      const bytes = held ?? NO_BYTES;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const length = view.getUint32(0);
      if (length > this.#maxBytes || length < LENGTHS_BYTES / 2) {
        throw new KeyvalueProtocolError(`a frame of ${length} bytes`);
      }
      this.#chunks = [bytes];
      this.#wanted = LENGTHS_BYTES / 2 + length;
      if (this.#held < this.#wanted) break;
      frames.push(frameOf(bytes.subarray(0, this.#wanted), view.getUint32(4)));
      this.#chunks = [bytes.subarray(this.#wanted)];
      this.#held -= this.#wanted;
      this.#wanted = 0;
    }
    return frames;
  }
}

function frameOf(bytes: Uint8Array, headLength: number): Frame {
  if (LENGTHS_BYTES + headLength > bytes.length) {
    throw new KeyvalueProtocolError("a head that is longer than its frame");
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + LENGTHS_BYTES, headLength);
  const head = headOf(text.toString("utf8"));
  return { head, bytes: bytes.slice(LENGTHS_BYTES + headLength) };
}

function headOf(text: string): Frame["head"] {
  try {
    const head: unknown = JSON.parse(text);
    if (typeof head === "object" && head !== null) return head as Frame["head"];
  } catch (error) {
    throw new KeyvalueProtocolError(`a head that is no JSON: ${String(error)}`);
  }
  throw new KeyvalueProtocolError("a head that is no object");
}

function frame(head: Readonly<Record<string, unknown>>, bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const whole = Buffer.allocUnsafe(LENGTHS_BYTES + text.length + bytes.length);
  whole.writeUInt32BE(whole.length - LENGTHS_BYTES / 2, 0);
  whole.writeUInt32BE(text.length, LENGTHS_BYTES / 2);
  text.copy(whole, LENGTHS_BYTES);
  whole.set(bytes, LENGTHS_BYTES + text.length);
  return whole;
}

function text(head: Frame["head"], name: string): string {
  const value = head[name];
  if (typeof value === "string") return value;
  throw new KeyvalueProtocolError(`${name}: want a string, not ${JSON.stringify(value)}`);
}

function count(head: Frame["head"], name: string): number {
  const value = head[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new KeyvalueProtocolError(`${name}: want an integer ≥ 0, not ${JSON.stringify(value)}`);
}
