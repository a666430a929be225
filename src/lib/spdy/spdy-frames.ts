import { assert } from "../assert.ts";

/** Frames of SPDY/3.1 as far as Kubernetes has use for them. */
export type SpdyFrame =
  | {
      readonly type: "syn-stream";
      readonly streamId: number;
      readonly fin: boolean;
      /** Names and values, compressed in one stream over all frames of a connection. */
      readonly headerBlock: Buffer;
    }
  | { readonly type: "headers"; readonly streamId: number; readonly headerBlock: Buffer }
  | { readonly type: "go-away" }
  | { readonly type: "reset"; readonly streamId: number; readonly status: number }
  | { readonly type: "ping"; readonly id: number }
  | {
      readonly type: "data";
      readonly streamId: number;
      readonly fin: boolean;
      readonly payload: Buffer;
    }
  /** SETTINGS, WINDOW_UPDATE: nothing here depends on them. */
  | { readonly type: "other" };

export const RESET = { protocolError: 1, refused: 3, cancelled: 5, internal: 6 } as const;

const HEADER_BYTES = 8;
const VERSION = 3;
const FLAG_FIN = 1;
/** Longer frames are a fault: kubectl sends 32 KiB at most. */
export const MAX_FRAME_BYTES = 1024 * 1024;

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const WINDOW_UPDATE = 9;

export class SpdyError extends Error {
  override readonly name = "SpdyError";
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  /** @throws SpdyError for what cannot be read any further */
  push(chunk: Uint8Array): readonly SpdyFrame[] {
    const frames: SpdyFrame[] = [];
    let bytes = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const length = bytes.readUIntBE(5, 3);
      if (length > MAX_FRAME_BYTES) {
        throw new SpdyError(`a frame of ${length} bytes: at most ${MAX_FRAME_BYTES} are taken`);
      }
      const end = HEADER_BYTES + length;
      if (bytes.length < end) break;
      frames.push(parseFrame(bytes.subarray(0, end)));
      bytes = bytes.subarray(end);
    }
    this.#held = bytes;
    return frames;
  }
}

function parseFrame(frame: Buffer): SpdyFrame {
  const first = frame.readUInt32BE(0);
  const fin = ((frame[4] ?? 0) & FLAG_FIN) !== 0;
  const body = frame.subarray(HEADER_BYTES);
  if (first < 0x8000_0000) return { type: "data", streamId: first, fin, payload: body };
  const version = (first >>> 16) & 0x7fff;
  if (version !== VERSION) throw new SpdyError(`SPDY version ${version}: only 3 is spoken`);
  switch (first & 0xffff) {
    case SYN_STREAM:
      return {
        type: "syn-stream",
        streamId: streamIdIn(body, 10),
        fin,
        headerBlock: body.subarray(10),
      };
    case RST_STREAM:
      return { type: "reset", streamId: streamIdIn(body, 8), status: body.readUInt32BE(4) };
    case PING:
      streamIdIn(body, 4);
      return { type: "ping", id: body.readUInt32BE(0) };
    case HEADERS:
    case SYN_REPLY:
      return { type: "headers", streamId: streamIdIn(body, 4), headerBlock: body.subarray(4) };
    case GOAWAY:
      return { type: "go-away" };
    default:
      return { type: "other" };
  }
}

function streamIdIn(body: Buffer, atLeastBytes: number): number {
  if (body.length < atLeastBytes) throw new SpdyError("a frame is too short for its kind");
  return body.readUInt32BE(0) & 0x7fff_ffff;
}

/** Opens a stream; the one that dialled takes odd ids, the other even ones. */
export function synStreamFrame(
  streamId: number,
  headerBlock: Uint8Array,
  options: { readonly fin: boolean },
): Buffer {
  const frame = controlFrame(SYN_STREAM, Buffer.concat([synStreamHead(streamId), headerBlock]));
  frame.writeUInt8(options.fin ? FLAG_FIN : 0, 4);
  return frame;
}

/** The stream, no stream that it belongs to, no priority, no slot. */
function synStreamHead(streamId: number): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt32BE(streamId);
  return head;
}

export function synReplyFrame(streamId: number, headerBlock: Uint8Array): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(streamId);
  return controlFrame(SYN_REPLY, Buffer.concat([id, headerBlock]));
}

export function resetFrame(streamId: number, status: number): Buffer {
  return controlFrame(RST_STREAM, twoWords(streamId, status));
}

export function pingFrame(id: number): Buffer {
  return controlFrame(PING, twoWords(id, 0).subarray(0, 4));
}

export function goAwayFrame(lastStreamId: number, status: number): Buffer {
  return controlFrame(GOAWAY, twoWords(lastStreamId, status));
}

/** Lets the other side send so many bytes more; stream 0 is the whole connection. */
export function windowUpdateFrame(streamId: number, bytes: number): Buffer {
  return controlFrame(WINDOW_UPDATE, twoWords(streamId, bytes));
}

export function dataFrame(
  streamId: number,
  payload: Uint8Array,
  options: { readonly fin: boolean },
): Buffer {
  assert(payload.length <= MAX_FRAME_BYTES, "data is cut before it is framed");
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(streamId);
  frame.writeUInt8(options.fin ? FLAG_FIN : 0, 4);
  frame.writeUIntBE(payload.length, 5, 3);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

function controlFrame(kind: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(kind, 2);
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

function twoWords(first: number, second: number): Buffer {
  const words = Buffer.alloc(8);
  words.writeUInt32BE(first, 0);
  words.writeUInt32BE(second, 4);
  return words;
}
