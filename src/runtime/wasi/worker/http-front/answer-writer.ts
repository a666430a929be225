import type { Outlet, RequestHead } from "../../../../lib/index.ts";
import type { HttpHeaders } from "../../preview2/preview-two.ts";
import type { Answer, AnswerBody, AnswerEnd } from "./answer.ts";
import { isBodiless } from "./answer.ts";
import { answerHead, fieldLines } from "./answer-head.ts";
import type { FrontContext } from "./front-context.ts";

/** How the end of an answer is known; `raw` bytes have none but the connection's. */
type Framing = "none" | "length" | "chunked" | "raw";

export interface WriterEvents {
  /** Bytes left for the client. */
  moved(): void;
  /** All of the answer is with the kernel. */
  done(): void;
  /** The guest broke it off. */
  broken(): void;
}

const CRLF = "\r\n";
/** The longest size line of a chunk, and what ends it. */
const CHUNK_FRAME_BYTES = 32;
/** Worth a write of its own. */
const MUCH_BYTES = 64 * 1024;

/** Writes one answer to a client, as fast as the client reads and the guest writes. */
export class AnswerWriter {
  readonly #context: FrontContext;
  readonly #outlet: Outlet;
  readonly #events: WriterEvents;
  #framing: Framing = "none";
  #body: AnswerBody | undefined;
  #written = false;
  #over = false;
  #pumping = false;
  #keepsConnection = false;

  constructor(context: FrontContext, outlet: Outlet, events: WriterEvents) {
    this.#context = context;
    this.#outlet = outlet;
    this.#events = events;
  }

  /** Everything was handed to the socket, which may still hold some of it. */
  get written(): boolean {
    return this.#written;
  }

  /** The connection can be used again afterwards. */
  get keepsConnection(): boolean {
    return this.#keepsConnection;
  }

  start(request: RequestHead, answer: Answer, options: { readonly keepAlive: boolean }): void {
    const { body, headers, status } = answer;
    const framing = framingOf(request, answer);
    const keepAlive = options.keepAlive && framing !== "raw";
    this.#framing = framing;
    this.#keepsConnection = keepAlive;
    const own =
      (headers.some(([name]) => name.length === 4 && name.toLowerCase() === "date")
        ? ""
        : this.#context.dateLine) +
      lengthLine(request, answer, framing) +
      connectionLines(request, { status, keepAlive });
    const head = answerHead(status, headers, own);
    if (body instanceof Uint8Array) {
      this.#write(head, framing === "none" ? undefined : body, trailerLines(framing, answer));
      this.#finish();
    } else if (framing === "none") {
      body.cancel();
      this.#write(head, undefined, "");
      this.#finish();
    } else {
      this.#body = body;
      this.#write(head, body.take(), "");
      body.onChange(() => this.#pumpSoon(body));
      this.#pump();
    }
  }

  /** The client took what was held for it. */
  drained(): void {
    this.#events.moved();
    if (this.#written) this.#checkDone();
    else this.#pump();
  }

  /** Nobody wants the rest. */
  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#body?.onChange(undefined);
    if (!this.#written) this.#body?.cancel();
  }

  /**
   * With the event loop's next turn, so that what a guest writes piece by piece leaves in one
   * write; at once when it is much, or all.
   */
  #pumpSoon(body: AnswerBody): void {
    if (body.ended !== undefined || body.heldBytes >= MUCH_BYTES) {
      // Not from inside of the guest, for what follows may be another request.
      queueMicrotask(() => this.#pump());
      return;
    }
    if (this.#pumping) return;
    this.#pumping = true;
    this.#context.clock.nextTurn(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const body = this.#body;
    if (body === undefined || this.#written || this.#over) return;
    while (this.#outlet.empty) {
      const bytes = body.take();
      const end = body.heldBytes === 0 ? body.ended : undefined;
      if (end !== undefined) return this.#pumpEnd(body, bytes, end);
      if (bytes === undefined) return;
      this.#write("", bytes, "");
      this.#events.moved();
    }
  }

  #pumpEnd(body: AnswerBody, bytes: Uint8Array | undefined, end: AnswerEnd): void {
    body.onChange(undefined);
    if (end.kind === "broken") {
      this.#over = true;
      this.#events.broken();
      return;
    }
    const last = this.#framing === "chunked" ? lastChunk(end.trailers) : "";
    this.#write("", bytes, last);
    this.#events.moved();
    this.#finish();
  }

  #finish(): void {
    this.#written = true;
    this.#checkDone();
  }

  #checkDone(): void {
    if (this.#over || !this.#outlet.empty) return;
    this.#over = true;
    this.#events.done();
  }

  /** What belongs together leaves in one write, for each costs more than copying does. */
  #write(before: string, body: Uint8Array | undefined, after: string): void {
    const { scratch } = this.#context;
    const length = body?.length ?? 0;
    const room = before.length + length + after.length + CHUNK_FRAME_BYTES;
    if (room > scratch.length) {
      // The guest's bytes were all there: they are written from where they are.
      this.#put(Buffer.from(before + this.#chunkStart(length), "latin1"));
      if (body !== undefined) this.#put(body);
      this.#put(Buffer.from(this.#chunkEnd(length) + after, "latin1"));
      return;
    }
    let at = scratch.write(before + this.#chunkStart(length), 0, "latin1");
    if (body !== undefined && length > 0) {
      scratch.set(body, at);
      at += length;
    }
    const rest = this.#chunkEnd(length) + after;
    if (rest !== "") at += scratch.write(rest, at, "latin1");
    this.#put(scratch.subarray(0, at));
  }

  #put(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#outlet.write(bytes);
  }

  #chunkStart(length: number): string {
    return this.#framing === "chunked" && length > 0 ? `${length.toString(16)}\r\n` : "";
  }

  #chunkEnd(length: number): string {
    return this.#framing === "chunked" && length > 0 ? CRLF : "";
  }
}

function framingOf(request: RequestHead, answer: Answer): Framing {
  const { body, status, trailers, declaredLength } = answer;
  if (status === 101) return "raw";
  if (isBodiless(request.method, status)) return "none";
  const modern = request.version === 11;
  if (body instanceof Uint8Array) {
    return trailers === undefined || !modern ? "length" : "chunked";
  }
  if (declaredLength !== undefined) return "length";
  return modern ? "chunked" : "raw";
}

function lengthLine(request: RequestHead, answer: Answer, framing: Framing): string {
  const { body, status, declaredLength } = answer;
  switch (framing) {
    case "raw":
      return "";
    case "chunked":
      return "Transfer-Encoding: chunked\r\n";
    case "length": {
      const length = body instanceof Uint8Array ? body.length : declaredLength;
      return `Content-Length: ${length}\r\n`;
    }
    case "none": {
      if (status === 205) return "Content-Length: 0\r\n";
      if (status === 204) return "";
      const there = body instanceof Uint8Array && body.length > 0 ? body.length : undefined;
      const length = declaredLength ?? (request.method === "HEAD" ? there : undefined);
      return length === undefined ? "" : `Content-Length: ${length}\r\n`;
    }
  }
}

function connectionLines(
  request: RequestHead,
  { status, keepAlive }: { readonly status: number; readonly keepAlive: boolean },
): string {
  if (status === 101) return `Connection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n`;
  if (!keepAlive) return "Connection: close\r\n";
  return request.version === 10 ? "Connection: keep-alive\r\n" : "";
}

/** What follows a body that is there in whole. */
function trailerLines(framing: Framing, { trailers }: Answer): string {
  return framing === "chunked" ? lastChunk(trailers) : "";
}

function lastChunk(trailers: HttpHeaders | undefined): string {
  return `0\r\n${fieldLines(trailers ?? [])}${CRLF}`;
}
