import type { HostClock } from "../host/host-clock.ts";
import type { IncomingHttp, OutgoingHttp } from "../preview2/preview-two.ts";
import { AnswerRefused, hasBody, headOf, incomingOf } from "./component-messages.ts";
import type { ComponentPool, PooledInstance } from "./component-pool.ts";
import { LentBody } from "./lent-body.ts";

export interface RequestOptions {
  readonly pool: ComponentPool;
  readonly clock: HostClock;
  readonly timeoutMs: number;
  /** The exported interface, with its version. */
  readonly entry: string;
  /** Bytes moved, in either direction. */
  readonly onMove: () => void;
  /** A guest failed or was given up; the reason is for the container's log. */
  readonly onFailure: (reason: unknown, instance: PooledInstance | undefined) => void;
  /** It was found that an instance of this component serves one request only. */
  readonly onFreshOnly: () => void;
}

interface IncomingHandler {
  handle(request: object, responseOut: object): Promise<void> | void;
}

/** The request took too long; said in the log, and 504 to the client. */
export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}

/** Turns of the event loop in which an answer that was set before the guest returned arrives. */
const TURNS_UNTIL_ANSWER = 3;
const RETRY_AFTER_SECONDS = "1";
const NS_PER_MS = 1_000_000n;

/**
 * One request from its arrival until neither guest nor client has anything left to do. The deadline
 * counts from the arrival to the head of the answer; from then on it begins anew whenever bytes
 * move, so that a stream of events may last. A guest that misses it is dropped with its instance.
 */
export class ComponentRequest {
  readonly #options: RequestOptions;
  readonly #request: Request;
  readonly #answer = Promise.withResolvers<Response>();
  readonly #over = Promise.withResolvers<void>();
  #cancelDeadline: (() => void) | undefined;
  #movedNs: bigint;
  #taken: PooledInstance | undefined;
  #answered = false;
  #guestDone = false;
  #failed = false;
  readonly #body: LentBody | undefined;
  /** The instance served before and none did so well yet: what fails may fail because of that. */
  #onTrial = false;
  /** It failed on trial, and is given to a fresh instance. */
  #retrying = false;
  /** Breaks a body off that is on its way to the client. */
  #cut: ((reason: Error) => void) | undefined;

  constructor(request: Request, options: RequestOptions) {
    this.#request = request;
    this.#options = options;
    this.#movedNs = options.clock.monotonicNs();
    if (request.body !== null) this.#body = new LentBody(request.body, () => this.#moved());
    this.#watchDeadline(options.timeoutMs);
    void this.#serve();
  }

  /** Always resolves: with the guest's answer or with what says why there is none. */
  get response(): Promise<Response> {
    return this.#answer.promise;
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  async #serve(): Promise<void> {
    await this.#attempt();
    if (this.#retrying) await this.#attempt();
    this.#guestDone = true;
    this.#checkOver();
  }

  async #attempt(): Promise<void> {
    const { pool } = this.#options;
    try {
      const given = pool.take();
      if (given === undefined) {
        if (this.#retrying) pool.learn("untried");
        return this.#refuse(503, "too many requests wait for this pod");
      }
      this.#taken = given instanceof Promise ? await given : given;
      await this.#enter(this.#taken);
    } catch (error) {
      this.#fail(error);
      if (this.#taken !== undefined) this.#drop(this.#taken);
    }
  }

  #drop(taken: PooledInstance): void {
    // What the instance still says is about this attempt, not about the next.
    if (this.#onTrial && this.#retrying) this.#taken = undefined;
    this.#onTrial = false;
    this.#options.pool.drop(taken);
  }

  async #enter(taken: PooledInstance): Promise<void> {
    const { pool, entry } = this.#options;
    // The deadline may have passed while the request waited for an instance.
    if (this.#answered) return pool.give(taken);
    this.#onTrial = taken.calls > 0 && pool.reuse !== "works" && !this.#retrying;
    if (!this.#onTrial) this.#body?.settle();
    taken.calls++;
    const { request, responseOut, response } = taken.host.incoming(this.#incoming());
    response.then(
      (outgoing) => (this.#taken === taken ? this.#answerWith(outgoing) : cancel(outgoing.body)),
      (error: unknown) => this.#taken === taken && this.#fail(error),
    );
    await (taken.instance.exports[entry] as IncomingHandler).handle(request, responseOut);
    for (let turn = 0; !this.#answered && turn < TURNS_UNTIL_ANSWER; turn++) await this.#nextTurn();
    if (!this.#answered) this.#fail(new AnswerRefused("the guest returned without an answer"));
    if (this.#onTrial && this.#retrying) return this.#drop(taken);
    // What it wrote may still be on its way: meanwhile the instance serves another request.
    pool.give(taken);
  }

  #incoming(): IncomingHttp {
    const incoming = incomingOf(this.#request);
    return { ...incoming, body: this.#body?.lend() };
  }

  #answerWith({ status, headers, body }: OutgoingHttp): void {
    if (this.#answered) return cancel(body);
    try {
      const head = headOf(status, headers);
      this.#learnFromAnswer();
      if (!hasBody(this.#request.method, status)) {
        cancel(body);
        return this.#settle(new Response(null, head));
      }
      if (body instanceof Uint8Array) {
        return this.#settle(new Response(body as Uint8Array<ArrayBuffer>, head));
      }
      const { stream, cut, done } = observed(body, () => this.#moved(), SILENT);
      this.#cut = cut;
      this.#moved();
      const taken = this.#taken;
      if (taken !== undefined) taken.streams++;
      void done.then(() => {
        if (taken !== undefined) taken.streams--;
        this.#cut = undefined;
        this.#checkOver();
      });
      this.#settle(new Response(stream, head));
      if (this.#request.signal.aborted) cut(new Error("the client went away"));
    } catch (error) {
      cancel(body);
      this.#fail(error);
    }
  }

  /** What the client gets of a failure depends on whether the head of the answer is out. */
  #fail(error: unknown): void {
    if (this.#mayRetry(error)) return;
    // What follows from a failure is not told as another one.
    if (!this.#failed) this.#options.onFailure(error, this.#taken);
    this.#failed = true;
    if (this.#answered) this.#cut?.(error instanceof Error ? error : new Error(String(error)));
    else if (error instanceof DeadlinePassed) this.#refuse(504, "the request took too long");
    else this.#refuse(500, "the guest failed");
  }

  /**
   * Some guests serve one request in their life, such as listeners for `fetch` events. Until a used
   * instance has answered once, a request that one fails is served again by a fresh one, unless its
   * body is gone.
   */
  #mayRetry(error: unknown): boolean {
    const { pool } = this.#options;
    if (this.#answered || error instanceof DeadlinePassed || !this.#onTrial) {
      if (this.#retrying) pool.learn("untried");
      return false;
    }
    if (this.#body?.touched === true) {
      this.#body.settle();
      this.#learnNever();
      return false;
    }
    this.#retrying = true;
    pool.learn("suspect");
    return true;
  }

  #learnFromAnswer(): void {
    this.#body?.settle();
    if (this.#onTrial) this.#options.pool.learn("works");
    else if (this.#retrying) this.#learnNever();
  }

  #learnNever(): void {
    if (this.#options.pool.learn("never")) this.#options.onFreshOnly();
  }

  #refuse(status: number, text: string): void {
    const headers = new Headers({ "content-type": "text/plain" });
    if (status === 503) headers.set("retry-after", RETRY_AFTER_SECONDS);
    this.#settle(new Response(`${text}\n`, { status, headers }));
  }

  #settle(response: Response): void {
    this.#answered = true;
    this.#answer.resolve(response);
  }

  #moved(): void {
    this.#movedNs = this.#options.clock.monotonicNs();
    this.#options.onMove();
  }

  #watchDeadline(delayMs: number): void {
    this.#cancelDeadline = this.#options.clock.after(delayMs, () => this.#lookAtDeadline());
  }

  #lookAtDeadline(): void {
    const { clock, timeoutMs, pool } = this.#options;
    const leftMs = timeoutMs - Number((clock.monotonicNs() - this.#movedNs) / NS_PER_MS);
    // Reading the request's body is no answer: before the head only the arrival counts.
    if (this.#answered && leftMs > 0) return this.#watchDeadline(leftMs);
    this.#cancelDeadline = undefined;
    const guestDone = this.#guestDone;
    this.#fail(new DeadlinePassed(`gave up after ${timeoutMs} ms`));
    if (!guestDone && this.#taken !== undefined) {
      pool.drop(this.#taken);
      this.#guestDone = true;
    }
    this.#checkOver();
  }

  #checkOver(): void {
    if (!this.#guestDone || this.#cut !== undefined) return;
    this.#cancelDeadline?.();
    this.#over.resolve();
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.nextTurn(resolve));
  }
}

/** The server prints what breaks an answer off; the container's log has said it already. */
const SILENT = { tell: () => undefined };

/** A stream passed on as it is read; `done` resolves when it ended, whatever way. */
function observed(
  source: ReadableStream<Uint8Array>,
  onMove: () => void,
  { tell = (reason) => reason }: { readonly tell?: (reason: unknown) => unknown } = {},
): {
  readonly stream: ReadableStream<Uint8Array>;
  readonly cut: (reason: Error) => void;
  readonly done: Promise<void>;
} {
  const reader = source.getReader();
  const done = Promise.withResolvers<void>();
  let over = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const end = (reason: unknown) => {
    over = true;
    done.resolve();
    reader.cancel(reason).catch(() => undefined);
  };
  const cut = (reason: unknown) => {
    if (over) return;
    controller?.error(tell(reason));
    end(reason);
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (given) => {
        controller = given;
      },
      // Raced against nothing: a promise that lives as long as the stream would keep every chunk.
      pull: async (given) => {
        try {
          const read = await reader.read();
          if (over) return;
          onMove();
          if (!read.done) return given.enqueue(read.value);
          over = true;
          given.close();
          done.resolve();
        } catch (error) {
          cut(error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
  return { stream, cut, done: done.promise };
}

function cancel(body: ReadableStream<Uint8Array> | Uint8Array): void {
  if (!(body instanceof Uint8Array)) body.cancel().catch(() => undefined);
}
