import { apiErrorFrom } from "../client/index.ts";
import type { ApiError, Client } from "../client/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger } from "../lib/index.ts";
import { listenForCalls } from "../runtime/index.ts";
import type { KeyvalueAnswer, KeyvalueCall, KeyvalueGate } from "../runtime/index.ts";

/** Keys of one page that a guest lists. */
const KEYS_PER_PAGE = 1_000;
/** Longer than the leader may be away, and shorter than a guest waits. */
const CALL_WITHIN_MS = 25_000;
/** Calls of all pods of this node at once: the API has others to serve. */
export const MAX_NODE_CALLS = 128;
/** How often a call is asked again that the API had no room for, and did nothing of. */
const MAX_THROTTLE_RETRIES = 3;
const TOO_MANY_REQUESTS = 429;
/** By which the API tells a quota from other refusals. */
const QUOTA_EXCEEDED = "KeyValueQuotaExceeded";

export interface KeyvalueNode {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: Uint8Array;
}

/**
 * The way of a pod's components to the stores of its namespace: the API, with the node's own
 * credential, whichever machine the node is on.
 */
export function keyvalueThrough(node: KeyvalueNode): KeyvalueGate {
  const turns = new Turns(MAX_NODE_CALLS);
  return {
    open: (options) =>
      listenForCalls({
        ...options,
        logger: node.logger,
        ask: (call) => turns.run(() => ask(node, options.pod.namespace, call)),
      }),
  };
}

/** Lets so many work at a time, in the order they came. Each pod's share is bounded by its gate. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  async run<Outcome>(work: () => Promise<Outcome>): Promise<Outcome> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

async function ask(
  { client, clock }: KeyvalueNode,
  namespace: string,
  call: KeyvalueCall,
): Promise<KeyvalueAnswer> {
  const { method, path, body } = requestOf(namespace, call);
  const late = new AbortController();
  const cancel = clock.after(CALL_WITHIN_MS, () => late.abort(new Error("no answer in time")));
  try {
    for (let attempt = 0; ; attempt++) {
      const response = await client.raw(path, {
        method,
        signal: late.signal,
        ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      });
      if (response.ok) return await answerOf(call, response);
      const error = await apiErrorFrom(response);
      const again = error.code === TOO_MANY_REQUESTS && attempt < MAX_THROTTLE_RETRIES;
      if (!again) return refusalOf(call, error);
      await sleep(clock, (error.retryAfterSeconds ?? 1) * 1000, late.signal);
    }
  } finally {
    cancel();
  }
}

function requestOf(namespace: string, call: KeyvalueCall): Asked {
  const store = `/apis/kubun.dev/v1/namespaces/${namespace}/keyvaluestores/${call.store}`;
  switch (call.op) {
    case "get":
      return { method: "GET", path: `${store}/values?${queryOf({ key: call.key })}` };
    case "exists":
      return { method: "HEAD", path: `${store}/values?${queryOf({ key: call.key })}` };
    case "delete":
      return { method: "DELETE", path: `${store}/values?${queryOf({ key: call.key })}` };
    case "set": {
      const { key, value, expected } = call;
      const named = expected === undefined ? {} : { resourceVersion: String(expected) };
      const path = `${store}/values?${queryOf({ key, ...named })}`;
      return { method: "PUT", path, body: value };
    }
    case "increment": {
      const { key, delta } = call;
      return { method: "POST", path: `${store}/increment?${queryOf({ key, delta })}` };
    }
    case "keys": {
      const more = call.cursor === undefined ? {} : { continue: call.cursor };
      const query = queryOf({ limit: String(KEYS_PER_PAGE), ...more });
      return { method: "GET", path: `${store}/keys?${query}` };
    }
  }
}

function queryOf(fields: Readonly<Record<string, string>>): string {
  return new URLSearchParams(fields).toString();
}

async function answerOf(call: KeyvalueCall, response: Response): Promise<KeyvalueAnswer> {
  switch (call.op) {
    case "get": {
      const revision = Number((response.headers.get("etag") ?? "").replaceAll('"', ""));
      return { type: "value", value: new Uint8Array(await response.arrayBuffer()), revision };
    }
    case "exists":
      return { type: "exists" };
    case "set":
    case "delete": {
      const { metadata } = (await response.json()) as { metadata: { resourceVersion: string } };
      return { type: "done", revision: Number(metadata.resourceVersion) };
    }
    case "increment": {
      const { value } = (await response.json()) as { value: string };
      return { type: "number", number: value };
    }
    case "keys": {
      const page = (await response.json()) as {
        metadata: { continue?: string };
        items: readonly { key: string }[];
      };
      const more = page.metadata.continue;
      const keys = page.items.map(({ key }) => key);
      return { type: "keys", keys, ...(more === undefined ? {} : { cursor: more }) };
    }
  }
}

function refusalOf(call: KeyvalueCall, { code, status, message }: ApiError): KeyvalueAnswer {
  const quota = status.details?.causes?.find(({ reason }) => reason === QUOTA_EXCEEDED);
  if (quota !== undefined) {
    return { type: "refused", why: "other", message: quota.message ?? message };
  }
  switch (code) {
    case 404:
      // A write is told so of its namespace, which is about to go.
      return call.op === "set" || call.op === "increment"
        ? { type: "refused", why: "other", message }
        : { type: "absent" };
    case 409:
      return { type: "refused", why: "conflict", message };
    case 401:
    case 403:
      return { type: "refused", why: "denied", message };
    default:
      return { type: "refused", why: "other", message };
  }
}
