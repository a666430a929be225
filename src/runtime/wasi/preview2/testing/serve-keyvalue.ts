import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../../lib/index.ts";
import { listenForCalls } from "../../component/keyvalue-gate.ts";
import type { KeyvalueAnswer, KeyvalueCall } from "../../component/keyvalue-protocol.ts";

/** A gate as a node has it, with stores in memory behind it. */
export interface KeyvalueServer extends Disposable {
  readonly path: string;
  readonly calls: KeyvalueCall[];
  readonly values: Map<string, { value: Uint8Array; revision: number }>;
  /** Answers in place of the store, where it answers at all. */
  instead:
    | ((call: KeyvalueCall) => KeyvalueAnswer | undefined | Promise<KeyvalueAnswer>)
    | undefined;
  /** Ends it and its connections, and begins anew. */
  stop(): void;
  start(): void;
}

const KEYS_PER_PAGE = 2;

export function serveKeyvalue(stores: readonly string[]): KeyvalueServer {
  const directory = mkdtempSync(join(tmpdir(), "kubun-kv-"));
  const path = join(directory, "keyvalue");
  const pod = { namespace: "default", name: "p" };
  const values: KeyvalueServer["values"] = new Map();
  let revision = 0;
  let gate: { close(): void } | undefined;
  const server: KeyvalueServer = {
    path,
    calls: [],
    values,
    instead: undefined,
    stop: () => gate?.close(),
    start() {
      const ask = async (call: KeyvalueCall): Promise<KeyvalueAnswer> => {
        server.calls.push(call);
        return (await server.instead?.(call)) ?? answerTo(call, values, () => ++revision);
      };
      gate = listenForCalls({ path, pod, stores, ask, logger: silentLogger });
    },
    [Symbol.dispose]() {
      server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  server.start();
  return server;
}

function answerTo(
  call: KeyvalueCall,
  values: KeyvalueServer["values"],
  next: () => number,
): KeyvalueAnswer {
  if (call.op === "keys") return pageOf([...values.keys()].sort(), Number(call.cursor ?? 0));
  const known = values.get(call.key);
  switch (call.op) {
    case "get":
      return known === undefined ? { type: "absent" } : { type: "value", ...known };
    case "exists":
      return { type: known === undefined ? "absent" : "exists" };
    case "delete":
      if (!values.delete(call.key)) return { type: "absent" };
      return { type: "done", revision: next() };
    case "set": {
      if (call.expected !== undefined && call.expected !== (known?.revision ?? 0)) {
        return { type: "refused", why: "conflict", message: "another revision" };
      }
      const revision = next();
      values.set(call.key, { value: call.value, revision });
      return { type: "done", revision };
    }
    case "increment": {
      const number = BigInt(Buffer.from(known?.value ?? []).toString() || "0") + BigInt(call.delta);
      values.set(call.key, { value: Buffer.from(`${number}`), revision: next() });
      return { type: "number", number: `${number}` };
    }
  }
}

function pageOf(keys: readonly string[], from: number): KeyvalueAnswer {
  const end = from + KEYS_PER_PAGE;
  const page = { type: "keys", keys: keys.slice(from, end) } as const;
  return end < keys.length ? { ...page, cursor: String(end) } : page;
}
