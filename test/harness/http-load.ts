import type { Socket } from "bun";

/** What became of the requests of a load. */
export interface LoadReport {
  readonly sent: number;
  readonly answered: number;
  /** One sentence each, of those that were not answered with 200. */
  readonly failures: readonly string[];
  /** Milliseconds, ascending. */
  readonly latencies: readonly number[];
}

export interface Load {
  report(): LoadReport;
  /** Sends nothing more, and waits for what is under way. */
  stop(): Promise<LoadReport>;
}

const TICK_MS = 10;
const ANSWER_WITHIN_MS = 10_000;
/** Kept connections that rest; further ones are closed. */
const MAX_RESTING = 64;

/**
 * GET / at a fixed rate, whatever becomes of earlier requests: every other one over a connection
 * of its own, the rest over kept ones. A client that never repeats a request, so that none hides.
 */
export function startLoad(options: { port: number; ratePerSecond: number }): Load {
  const { port, ratePerSecond } = options;
  const resting: Exchange[] = [];
  const failures: string[] = [];
  const latencies: number[] = [];
  const under = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const one = async (kept: boolean): Promise<void> => {
    const beganMs = performance.now();
    try {
      let exchange = kept ? resting.pop() : undefined;
      while (exchange?.closed === true) exchange = resting.pop();
      exchange ??= await Exchange.open(port);
      const { status, keeps } = await exchange.ask(kept);
      if (status !== 200) failures.push(`status ${status}`);
      latencies.push(performance.now() - beganMs);
      if (kept && keeps && resting.length < MAX_RESTING) resting.push(exchange);
      else exchange.close();
    } catch (error) {
      const how = kept ? "a kept connection" : "a new connection";
      failures.push(`${how}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * ratePerSecond);
    for (; sent < due; sent++) {
      const done = one(sent % 2 === 0).finally(() => under.delete(done));
      under.add(done);
    }
  }, TICK_MS);
  const report = (): LoadReport => ({
    sent,
    answered: latencies.length,
    failures,
    latencies: latencies.toSorted((a, b) => a - b),
  });
  return {
    report,
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
      for (const exchange of resting) exchange.close();
      return report();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly keeps: boolean;
}

class Exchange {
  closed = false;
  #socket: Socket<Exchange> | undefined;
  #text = "";
  #answer: PromiseWithResolvers<Answer> | undefined;

  static async open(port: number): Promise<Exchange> {
    const exchange = new Exchange();
    exchange.#socket = await Bun.connect<Exchange>({
      hostname: "127.0.0.1",
      port,
      data: exchange,
      socket: {
        data: (socket, chunk) => socket.data.#received(chunk.toString("latin1")),
        close: (socket, error) => socket.data.#ended(error),
      },
    });
    return exchange;
  }

  async ask(keeps: boolean): Promise<Answer> {
    this.#text = "";
    const answer = Promise.withResolvers<Answer>();
    this.#answer = answer;
    const connection = keeps ? "keep-alive" : "close";
    this.#socket?.write(`GET / HTTP/1.1\r\nHost: load\r\nConnection: ${connection}\r\n\r\n`);
    const timer = setTimeout(() => answer.reject(new Error("no answer")), ANSWER_WITHIN_MS);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.closed = true;
    this.#socket?.end();
  }

  #received(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#text.slice(0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? Number.NaN);
    if (this.#text.length < end + 4 + length) return;
    if (Number.isNaN(length)) return this.#answer?.reject(new Error(`no length: ${head}`));
    const status = Number(head.split(" ")[1]);
    this.#answer?.resolve({ status, keeps: !/^connection: *close/im.test(head) });
  }

  #ended(error: Error | undefined): void {
    this.closed = true;
    this.#answer?.reject(new Error(`cut (${error?.message ?? "closed"})`));
  }
}
