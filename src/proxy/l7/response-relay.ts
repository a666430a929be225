import {
  BodyReader,
  type ContentSink,
  type RequestHead,
  type ResponseHead,
} from "../../lib/index.ts";
import { writeResponseHead } from "./head-writer.ts";
import type { HttpContext } from "./http-context.ts";

type Write = (bytes: Uint8Array) => void;

/** Turns what an endpoint sends into what the client gets, for one response. */
export class ResponseRelay {
  readonly #context: HttpContext;
  readonly #request: RequestHead;
  readonly #head: ResponseHead;
  readonly #body: BodyReader;
  /** A client of HTTP/1.0 gets the content of chunks without their framing. */
  readonly #unwrap: boolean;
  #keepsClient = false;
  #headWritten = false;

  constructor(context: HttpContext, request: RequestHead, head: ResponseHead) {
    this.#context = context;
    this.#request = request;
    this.#head = head;
    this.#body = new BodyReader(head.framing);
    this.#unwrap = request.version === 10 && head.framing.type === "chunked";
  }

  get done(): boolean {
    return this.#headWritten && this.#body.done;
  }

  /** The body ends when the endpoint closes. */
  get endsWithConnection(): boolean {
    return this.#headWritten && this.#head.framing.type === "until-close";
  }

  get keepsUpstream(): boolean {
    return this.#head.keepAlive;
  }

  get keepsClient(): boolean {
    return this.#keepsClient;
  }

  /** An answer to half a request leaves the rest of it on the connection: not to be reused. */
  decideKeepAlive(options: { requestComplete: boolean }): void {
    this.#keepsClient =
      this.#request.keepAlive &&
      this.#context.retiredMs === undefined &&
      options.requestComplete &&
      this.#head.framing.type !== "until-close" &&
      !this.#unwrap;
  }

  /** A 1xx head for the client. */
  interimHead(): Buffer {
    const { scratch } = this.#context;
    return scratch.subarray(0, writeResponseHead(this.#head, {}, scratch));
  }

  upgradeHead(): Buffer {
    const { scratch } = this.#context;
    const changes = { connection: "Upgrade" };
    return scratch.subarray(0, writeResponseHead(this.#head, changes, scratch));
  }

  /**
   * Takes what belongs to this response from the chunk, from `from` on, the head first when it was
   * not written yet. Answers the offset behind it, or BODY_MALFORMED.
   */
  take(chunk: Buffer, from: number, write: Write): number {
    if (this.#unwrap) return this.#takeUnwrapped(chunk, from, write);
    const end = this.#body.consume(chunk, from);
    if (end < 0) return end;
    if (this.#headWritten) {
      if (end > from) write(wholeOr(chunk, from, end));
      return end;
    }
    this.#headWritten = true;
    const head = this.#head;
    const verbatim = this.#passesVerbatim();
    if (verbatim && head.bytes === chunk && head.end === from) {
      // The usual case: head and body of one read leave in one write, untouched.
      write(wholeOr(chunk, head.start, end));
      return end;
    }
    this.#writeHeadAnd(chunk, from, end, write);
    return end;
  }

  #passesVerbatim(): boolean {
    const { bytes, start, fields } = this.#head;
    return (
      this.#keepsClient &&
      this.#request.version === 11 &&
      fields.removals.length === 0 &&
      bytes[start + 7] === 0x31
    );
  }

  #writeHeadAnd(chunk: Buffer, from: number, end: number, write: Write): void {
    const { scratch } = this.#context;
    const length = writeResponseHead(this.#head, this.#changes(), scratch);
    if (length + end - from <= scratch.length) {
      chunk.copy(scratch, length, from, end);
      write(scratch.subarray(0, length + end - from));
    } else {
      write(scratch.subarray(0, length));
      write(chunk.subarray(from, end));
    }
  }

  #changes(): { connection?: string; dropTransferEncoding?: boolean } {
    if (!this.#keepsClient) return { connection: "close", dropTransferEncoding: this.#unwrap };
    return this.#request.version === 10 ? { connection: "keep-alive" } : {};
  }

  #takeUnwrapped(chunk: Buffer, from: number, write: Write): number {
    if (!this.#headWritten) {
      this.#headWritten = true;
      const { scratch } = this.#context;
      write(scratch.subarray(0, writeResponseHead(this.#head, this.#changes(), scratch)));
    }
    const sink: ContentSink = (bytes, start, end) => write(bytes.subarray(start, end));
    return this.#body.consume(chunk, from, sink);
  }
}

function wholeOr(chunk: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
}
