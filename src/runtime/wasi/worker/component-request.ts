import type { HostClock } from "../host/host-clock.ts";
import type { OutgoingHttp } from "../preview2/preview-two.ts";
import { AnswerRefused, answerOf, incomingOf } from "./component-messages.ts";
import type { ComponentPool, PooledInstance } from "./component-pool.ts";
import type { Answer } from "./http-front/answer.ts";
import type { ExchangeUser, FrontExchange } from "./http-front/front-exchange.ts";
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
  /** The head of the answer is decided. */
  readonly onAnswer: (status: number) => void;
  /** Neither guest nor client has anything left to do. */
  readonly onOver: () => void;
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
const RETRY_AFTER_SECONDS = Buffer.from("1");
const PLAIN_TEXT = Buffer.from("text/plain");
const NS_PER_MS = 1_000_000n;

/**
 * One request from its arrival until neither guest nor client has anything left to do. The deadline
 * counts from the arrival to the head of the answer; from then on it begins anew whenever bytes
 * move, so that a stream of events may last. A guest that misses it is dropped with its instance.
 */
export class ComponentRequest implements ExchangeUser {
  readonly #options: RequestOptions;
  readonly #exchange: FrontExchange;
  #cancelDeadline: (() => void) | undefined;
  #movedNs: bigint;
  #taken: PooledInstance | undefined;
  #answered = false;
  #guestDone = false;
  #exchangeDone = false;
  #over = false;
  #failed = false;
  readonly #body: LentBody | undefined;
  /** The instance served before and none did so well yet: what fails may fail because of that. */
  #onTrial = false;
  /** It failed on trial, and is given to a fresh instance. */
  #retrying = false;
  /** The guest may still write the answer that the client gets. */
  #streaming: PooledInstance | undefined;

  constructor(exchange: FrontExchange, options: RequestOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.#movedNs = options.clock.monotonicNs();
    if (exchange.body !== undefined) this.#body = new LentBody(exchange, exchange.body);
    exchange.user = this;
  }

  start(): void {
    this.#watchDeadline(this.#options.timeoutMs);
    void this.#serve();
  }

  moved(): void {
    this.#movedNs = this.#options.clock.monotonicNs();
    this.#options.onMove();
  }

  /** What the guest still writes fails, and it ends by itself. */
  gone(): void {
    this.#answered = true;
  }

  done(): void {
    this.#exchangeDone = true;
    if (this.#streaming !== undefined) this.#streaming.streams--;
    this.#streaming = undefined;
    this.#checkOver();
  }

  async #serve(): Promise<void> {
    await this.#attempt();
    if (this.#retrying) await this.#attempt();
    this.#guestEnded();
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
    const { request, responseOut, response } = taken.host.incoming(
      incomingOf(this.#exchange, this.#body),
    );
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

  #answerWith(outgoing: OutgoingHttp): void {
    const { body } = outgoing;
    if (this.#answered) return cancel(body);
    try {
      const answer = answerOf(this.#exchange, outgoing);
      this.#learnFromAnswer();
      if (!(body instanceof Uint8Array) && this.#taken !== undefined) {
        this.#taken.streams++;
        this.#streaming = this.#taken;
      }
      this.#settle(answer);
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
    // An answer that is all there is as good as sent.
    if (this.#answered && this.#streaming !== undefined) this.#exchange.cut();
    else if (this.#answered) return;
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
    const headers: [string, Uint8Array][] = [["content-type", PLAIN_TEXT]];
    if (status === 503) headers.push(["retry-after", RETRY_AFTER_SECONDS]);
    this.#settle({ status, headers, body: Buffer.from(`${text}\n`) });
  }

  #settle(answer: Answer): void {
    this.#answered = true;
    this.#options.onAnswer(answer.status);
    this.#movedNs = this.#options.clock.monotonicNs();
    this.#exchange.answer(answer);
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
    const answered = this.#answered;
    this.#fail(new DeadlinePassed(`gave up after ${timeoutMs} ms`));
    // A client that does not take what is there for it is cut off as well.
    if (answered) this.#exchange.cut();
    if (!guestDone && this.#taken !== undefined) pool.drop(this.#taken);
    if (!guestDone) this.#guestEnded();
  }

  #guestEnded(): void {
    if (this.#guestDone) return;
    this.#guestDone = true;
    this.#body?.end();
    this.#checkOver();
  }

  #checkOver(): void {
    if (!this.#guestDone || !this.#exchangeDone || this.#over) return;
    this.#over = true;
    this.#cancelDeadline?.();
    this.#options.onOver();
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.nextTurn(resolve));
  }
}

function cancel(body: OutgoingHttp["body"]): void {
  if (!(body instanceof Uint8Array)) body.cancel();
}
