import type { Fetch } from "../lib/index.ts";
import type { Front } from "./listeners.ts";

/** The process that takes this one's place. */
export interface Successor {
  /** Resolves when it answers; rejects when it will not. */
  readonly ready: Promise<void>;
}

export interface SuccessorApi {
  /** Answers clients that are still connected here. */
  readonly front: Front;
  /** The same for parts of this process, in the name of whose token this is. */
  as(token: string): Fetch;
}

/** Requests that may wait for the successor; clients of the others are asked to come again. */
export const MAX_HELD_REQUESTS = 600;
const RETRY_AFTER_SECONDS = "1";

/**
 * The API while the state is on its way to another process: requests wait for that, and are passed
 * on. Answers end their connections, so that clients go there themselves.
 */
export function createSuccessorApi(options: {
  readonly url: string;
  readonly ca: string;
  readonly ready: Promise<void>;
}): SuccessorApi {
  const { url, ca, ready } = options;
  let held = 0;
  const pass = async (request: Request, headers: Headers): Promise<Response> => {
    await ready;
    const { pathname, search } = new URL(request.url);
    return fetch(`${url}${pathname}${search}`, {
      method: request.method,
      headers,
      signal: request.signal,
      redirect: "manual",
      decompress: false,
      keepalive: false,
      tls: { ca },
      ...(request.body === null ? {} : { body: request.body, duplex: "half" }),
    } as RequestInit);
  };
  return {
    async front(request) {
      // Who shows a certificate instead of a token is known on his own connection alone.
      if (held >= MAX_HELD_REQUESTS || !request.headers.has("authorization")) return comeAgain();
      held++;
      try {
        const answer = await pass(request, new Headers(request.headers));
        const headers = new Headers(answer.headers);
        headers.set("connection", "close");
        return new Response(answer.body, { status: answer.status, headers });
      } catch {
        return comeAgain(); // There is no successor, or it is just going.
      } finally {
        held--;
      }
    },
    as: (token) => (request) => {
      const headers = new Headers(request.headers);
      headers.set("authorization", `Bearer ${token}`);
      return pass(request, headers);
    },
  };
}

function comeAgain(): Response {
  const status = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "this server is being replaced by a new process, please try again",
    reason: "ServiceUnavailable",
    details: { retryAfterSeconds: Number(RETRY_AFTER_SECONDS) },
    code: 503,
  };
  const headers = { "retry-after": RETRY_AFTER_SECONDS, connection: "close" };
  return Response.json(status, { status: 503, headers });
}
