import { expect, test } from "bun:test";
import { jspi, waitingImports, type GuestFunction } from "./waiting-calls.ts";
import { startProbe } from "./testing/run-probe.ts";

const NAMES = ["fd_read", "fd_write", "poll_oneoff", "sched_yield"];
const SOCKETS = ["sock_accept", "sock_recv", "sock_send"];

function functionsWith(changes: Readonly<Record<string, GuestFunction>>) {
  const others = [...NAMES, ...SOCKETS].map((name) => [name, () => 52] as const);
  return { ...Object.fromEntries(others), ...changes };
}

/** Calls an import as a guest does: from a stack that may be suspended. */
function called(fn: WebAssembly.ImportValue | undefined): (...args: number[]) => Promise<unknown> {
  return jspi.promising(fn as unknown as WebAssembly.ExportValue);
}

test("a guest whose calls answer at once is never suspended", async () => {
  const run = startProbe(["poll w:1 m:0", "write 2 x", "read 9 1", "accept 9", "clock 1"]);
  // Without an await: it has run to its end before its promise was even looked at.
  const lines = run.output();
  expect(lines).toEqual(["0 w:1=1 m:0", "0 1", "8 ", "8", "0 0 0 forward resolution"]);
  expect(await run.lines).toEqual(lines);
});

test("waitingImports hands arguments over in order, and takes answers now or later", async () => {
  const seen: number[][] = [];
  const answer = (...args: number[]) => {
    seen.push(args);
    return args[0] === 1 ? Promise.resolve(args.length) : args.length;
  };
  const all = [...NAMES, ...SOCKETS];
  const imports = waitingImports(Object.fromEntries(all.map((name) => [name, answer])));
  const arities = [4, 4, 4, 0, 3, 6, 5];
  for (const first of [0, 1]) {
    for (const [index, name] of all.entries()) {
      const args = Array.from({ length: arities[index] ?? 0 }, (_, at) => (at === 0 ? first : at));
      expect([name, await called(imports[name])(...args)]).toEqual([name, args.length]);
      expect(seen.at(-1)).toEqual(args);
    }
  }
});

test("waitingImports lets through what is thrown, now or later, and goes on after it", async () => {
  const failures: GuestFunction[] = [
    () => {
      throw new Error("now");
    },
    () => Promise.reject(new Error("later")),
    () => 7,
  ];
  const imports = waitingImports(functionsWith({ sched_yield: () => failures.shift()?.() ?? 0 }));
  const call = called(imports["sched_yield"]);
  expect(await call().catch((error: Error) => error.message)).toBe("now");
  expect(await call().catch((error: Error) => error.message)).toBe("later");
  expect(await call()).toBe(7);
});

test("waitingImports wants every function that may wait", () => {
  const { fd_read: _, ...rest } = functionsWith({});
  expect(() => waitingImports(rest)).toThrow("no function fd_read");
});
