import { fieldEntries, type Outlet, type RequestHead } from "../../../../lib/index.ts";
import { ReceivedBody } from "../../preview2/http/received-body.ts";
import type { HttpHeaders } from "../../preview2/preview-two.ts";
import type { Answer } from "./answer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import type { FrontContext } from "./front-context.ts";

/** Who answers a request hears what becomes of it. */
export interface ExchangeUser {
  /** Bytes moved, in either direction. */
  moved(): void;
  /** The client went away before all of the answer was out; nothing follows. */
  gone(): void;
  /** All of the answer is out, or was broken off; nothing follows. */
  done(): void;
}

/** What of a connection an exchange needs. */
export interface ExchangeConnection {
  readonly port: number;
  readonly remoteAddress: string;
  readonly outlet: Outlet;
  /** Something goes to the client: it is not silent. */
  touch(): void;
  /** More of the body can be read, or no more. */
  reconsider(): void;
  sendContinue(): void;
  /** False when the connection has to end with this answer, whatever the client wishes. */
  readonly reusable: boolean;
  onTunnel(): void;
  onDone(options: { readonly keepAlive: boolean }): void;
  cut(): void;
}

/** The client went away, or what it sent is no HTTP. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

const NOBODY: ExchangeUser = {
  moved: () => undefined,
  gone: () => undefined,
  done: () => undefined,
};

/** One request of a client, and its answer. */
export class FrontExchange {
  user: ExchangeUser = NOBODY;
  /**
   * What the client sends. Of a request that asks for an upgrade it is what comes after the answer
   * 101; any other answer ends it.
   */
  readonly body: ReceivedBody | undefined;
  readonly #head: RequestHead;
  readonly #connection: ExchangeConnection;
  readonly #writer: AnswerWriter;
  #headers: HttpHeaders | undefined;
  #trailers: PromiseWithResolvers<HttpHeaders | undefined> | undefined;
  #answered = false;
  #answerDone = false;
  #bodyDone: boolean;
  #wanted = false;
  #over = false;

  constructor(context: FrontContext, connection: ExchangeConnection, head: RequestHead) {
    this.#head = head;
    this.#connection = connection;
    this.#bodyDone = head.framing.type === "none" && head.upgrade === "";
    if (!this.#bodyDone) {
      this.body = new ReceivedBody({
        room: () => connection.reconsider(),
        close: () => {
          this.#checkOver({ bodyDone: true });
          connection.reconsider();
        },
        held: (change) => {
          context.hold(change);
          if (this.starving) connection.reconsider();
        },
      });
    }
    this.#writer = new AnswerWriter(context, connection.outlet, {
      moved: () => {
        connection.touch();
        this.user.moved();
      },
      done: () => {
        this.#answerDone = true;
        this.#checkOver({});
      },
      broken: () => this.cut(),
    });
  }

  get method(): string {
    return this.#head.method;
  }

  /** Path and query. */
  get target(): string {
    return this.#head.target;
  }

  get host(): string {
    return this.#head.host;
  }

  /** The protocol that the client wishes to change to; empty for none, and behind a body. */
  get upgrade(): string {
    return this.#head.framing.type === "none" ? this.#head.upgrade : "";
  }

  /** The container's port that the client came to. */
  get port(): number {
    return this.#connection.port;
  }

  /** Empty for who comes by a Unix socket. */
  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  /** Without those about the connection; values are the caller's to read, not to change. */
  get headers(): HttpHeaders {
    const { bytes, fieldsStart, end, fields } = this.#head;
    this.#headers ??= fieldEntries(bytes, fieldsStart, end - 2, fields.removals);
    return this.#headers;
  }

  /** What follows a chunked body; rejects with {@link ClientGone}. */
  get trailers(): Promise<HttpHeaders | undefined> | undefined {
    if (this.#head.framing.type !== "chunked") return undefined;
    return this.#lateTrailers().promise;
  }

  /** Of the body, in bytes, when the client said so. */
  get declaredLength(): number | undefined {
    const { framing } = this.#head;
    return framing.type === "length" ? framing.bytes : undefined;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** All of it is done, or the client is gone. */
  get over(): boolean {
    return this.#over;
  }

  /** Everything is with the socket: only the client is waited for. */
  get written(): boolean {
    return this.#writer.written;
  }

  /** Somebody wants the body: a client that asks whether to send it is told to. */
  wantBody(): void {
    this.#connection.sendContinue();
    if (this.#wanted) return;
    this.#wanted = true;
    this.#connection.reconsider();
  }

  /** Somebody wants more of the body than has come: it is read on, however much others hold. */
  get starving(): boolean {
    return this.#wanted && !this.#bodyDone && this.body?.heldBytes === 0;
  }

  /** Once, and only while {@link answered} is false and nobody is gone. */
  answer(answer: Answer): void {
    if (this.#answered || this.#over) {
      if (!(answer.body instanceof Uint8Array)) answer.body.cancel();
      return;
    }
    this.#answered = true;
    this.#connection.touch();
    const tunnel = answer.status === 101;
    if (this.upgrade !== "" && !tunnel) this.receivedAll(undefined);
    const keepAlive = this.#connection.reusable && this.#head.keepAlive;
    this.#writer.start(this.#head, answer, { keepAlive });
    if (tunnel) this.#connection.onTunnel();
  }

  /** Breaks the answer off; the client learns of it by the end of its connection. */
  cut(): void {
    // Afterwards the connection may be another request's.
    if (!this.#over) this.#connection.cut();
  }

  // What the connection says.

  received(bytes: Buffer): void {
    this.user.moved();
    this.body?.push(bytes);
  }

  receivedAll(trailers: HttpHeaders | undefined): void {
    if (this.#head.framing.type === "chunked") this.#lateTrailers().resolve(trailers);
    this.body?.end();
    this.#checkOver({ bodyDone: true });
  }

  drained(): void {
    if (this.#answered) this.#writer.drained();
  }

  /** The client is gone, or was cut off. */
  lost(): void {
    if (this.#over) return;
    this.#over = true;
    const reason = new ClientGone("the client went away");
    // Who has it may read what has come, and lets it go; nobody else would.
    if (this.user === NOBODY) this.body?.close();
    else this.body?.fail(reason);
    this.#trailers?.reject(reason);
    this.#writer.cancel();
    this.user.gone();
    this.user.done();
  }

  /** A guest may go on to read after it answered; who does not has let the body go. */
  #checkOver({ bodyDone = this.#bodyDone }: { readonly bodyDone?: boolean }): void {
    this.#bodyDone = bodyDone;
    if (!bodyDone || !this.#answerDone || this.#over) return;
    this.#over = true;
    this.user.done();
    this.#connection.onDone({ keepAlive: this.#writer.keepsConnection });
  }

  #lateTrailers(): PromiseWithResolvers<HttpHeaders | undefined> {
    if (this.#trailers !== undefined) return this.#trailers;
    const late = Promise.withResolvers<HttpHeaders | undefined>();
    // Whoever does not ask for them is not told that they failed.
    late.promise.catch(() => undefined);
    this.#trailers = late;
    return late;
  }
}
