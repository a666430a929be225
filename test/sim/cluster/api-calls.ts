import type { Prng } from "../core/prng.ts";
import type { ClusterStatistics } from "./cluster-statistics.ts";
import type { SimServer } from "./sim-server.ts";
import { TOKEN } from "./sim-server.ts";
import type { Timeline } from "./timeline.ts";

/** How long a client waits for an answer. */
const CLIENT_TIMEOUT_MS = 15_000;

export interface ApiAnswer {
  readonly code: number;
  readonly body: {
    readonly reason?: string;
    readonly message?: string;
    readonly metadata?: { readonly name?: string; readonly resourceVersion?: string };
    readonly data?: { readonly v?: string };
    readonly spec?: { readonly clusterIP?: string };
    readonly items?: readonly ApiAnswer["body"][];
  };
}

/** "lost": the server died, or did not answer in time. "refused": nobody listened. */
export type CallOutcome = ApiAnswer | "lost" | "refused";

/** HTTP as a client at the network uses it: a server may die with the request. */
export class ApiCalls {
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #statistics: ClusterStatistics;

  constructor(timeline: Timeline, prng: Prng, statistics: ClusterStatistics) {
    this.#timeline = timeline;
    this.#prng = prng;
    this.#statistics = statistics;
  }

  async call(server: SimServer, method: string, path: string, body?: object): Promise<CallOutcome> {
    const aborted = new AbortController();
    this.#statistics.count("request");
    const response = await this.send(server, requestOf(method, path, body, aborted.signal));
    if (response === "lost") aborted.abort();
    if (typeof response === "string") return response;
    const text = await this.#orTimeout(response.text(), server);
    if (text === "lost") return "lost";
    return { code: response.status, body: JSON.parse(text) as ApiAnswer["body"] };
  }

  /** The answer's head; its body may still be on the way. */
  async send(server: SimServer, request: Request): Promise<Response | "lost" | "refused"> {
    await this.#timeline.wait(1 + this.#prng.below(3));
    const { front, clock } = server;
    if (front === undefined || clock === undefined) return "refused";
    const handled = new Promise<Response>((resolve, reject) => {
      // By the server's clock: a paused one answers when it goes on.
      clock.after(0, () => {
        front(request).then(resolve, reject);
      });
    });
    const response = await this.#orTimeout(handled, server);
    if (response !== "lost") await this.#timeline.wait(1 + this.#prng.below(3));
    return response;
  }

  async #orTimeout<T>(promise: Promise<T>, server: SimServer): Promise<T | "lost"> {
    const { promise: late, resolve } = Promise.withResolvers<"lost">();
    const cancel = this.#timeline.after(CLIENT_TIMEOUT_MS, () => resolve("lost"));
    server.lost?.catch(() => resolve("lost"));
    const outcome = await Promise.race([promise, late]);
    cancel();
    return outcome;
  }
}

export function requestOf(
  method: string,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Request {
  return new Request(`https://simulated${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    signal,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}
