import { leb, SECTION } from "../worker/wasm-binary.ts";

/** A host function: its error number at once, or a promise of it when the guest has to wait. */
export type GuestFunction = (...args: never[]) => number | Promise<number>;

/** `WebAssembly.Suspending` and `promising` (JSPI), which TypeScript does not know yet. */
interface StackSwitching {
  readonly Suspending: new (fn: GuestFunction) => WebAssembly.ImportValue;
  promising(fn: WebAssembly.ExportValue): () => Promise<unknown>;
}
export const jspi = WebAssembly as unknown as StackSwitching;

/** The functions that may wait, and how many arguments (all i32) each takes. */
const ARITY: Readonly<Record<string, number>> = {
  fd_read: 4,
  fd_write: 4,
  poll_oneoff: 4,
  sched_yield: 0,
  sock_accept: 3,
  sock_recv: 6,
  sock_send: 5,
};
const NAMES = Object.keys(ARITY);

/** Says that the answer is a promise; no error number is negative. */
const MUST_WAIT = -1;

/**
 * Imports for functions that may wait. A call of a `Suspending` function costs 4 µs and 1 µs for
 * each frame on the guest's stack, also when it answers at once, because the engine takes the
 * stack off and puts it back. So a small module stands between: it calls a plain function, and a
 * suspending one only when that says it has to wait.
 *
 *     (func (export "fd_read") (param i32 i32 i32 i32) (result i32)
 *       (if (i32.eq (local.tee 4 (call $now_fd_read …)) (i32.const -1)) (then (return_call $wait)))
 *       (local.get 4))
 *
 * A guest has one stack, so that at most one promise is under way between the two calls. `share`
 * may make a guest wait although its call need not.
 */
export function waitingImports(
  functions: Readonly<Record<string, GuestFunction>>,
  share: (answer: number) => number | Promise<number> = (answer) => answer,
): Record<string, WebAssembly.ImportValue> {
  let pending: Promise<number> | undefined;
  const now: Record<string, WebAssembly.ImportValue> = {};
  for (const name of NAMES) {
    const fn = functions[name];
    if (fn === undefined) throw new Error(`no function ${name}`);
    now[name] = (...args: never[]) => {
      const own = fn(...args);
      const answer = typeof own === "number" ? share(own) : own;
      if (typeof answer === "number") return answer;
      pending = answer;
      return MUST_WAIT;
    };
  }
  const wait = new jspi.Suspending(() => {
    const promise = pending ?? Promise.reject(new Error("nothing to wait for"));
    pending = undefined;
    return promise;
  });
  const { exports } = new WebAssembly.Instance(switchboard, { now, host: { wait } });
  return exports;
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const I32 = 0x7f;
const FUNCTION_TYPE = 0x60;
const NAME_SUBSECTION = 1;
const text = (word: string) => [word.length, ...Buffer.from(word)];
const vector = (items: readonly (readonly number[])[]) => [...leb(items.length), ...items.flat()];
const section = (id: number, content: readonly number[]) => [
  id,
  ...leb(content.length),
  ...content,
];

/** Type 0 and function 0 are those of `wait`; then comes one for each of the functions. */
const switchboard = new WebAssembly.Module(
  Uint8Array.from([
    ...HEADER,
    ...section(SECTION.type, vector([0, ...Object.values(ARITY)].map(type))),
    ...section(
      SECTION.import,
      vector([
        [...text("host"), ...text("wait"), 0, 0],
        ...NAMES.map((name, index) => [...text("now"), ...text(name), 0, index + 1]),
      ]),
    ),
    ...section(SECTION.function, vector(NAMES.map((_, index) => [index + 1]))),
    ...section(
      SECTION.export,
      vector(NAMES.map((name, index) => [...text(name), 0, NAMES.length + 1 + index])),
    ),
    ...section(SECTION.code, vector(NAMES.map((name, index) => body(ARITY[name] ?? 0, index + 1)))),
    ...nameSection(),
  ]),
);

function type(arity: number): number[] {
  return [FUNCTION_TYPE, ...vector(Array.from({ length: arity }, () => [I32])), 1, I32];
}

function body(arity: number, nowIndex: number): number[] {
  const LOCAL_GET = 0x20;
  const [CALL, LOCAL_TEE, I32_CONST, I32_EQ, IF, ELSE, END] = [
    0x10, 0x22, 0x41, 0x46, 0x04, 0x05, 0x0b,
  ];
  const minusOne = 0x7f;
  const args = Array.from({ length: arity }, (_, index) => [LOCAL_GET, index]).flat();
  const call = [...args, CALL, nowIndex, LOCAL_TEE, arity, I32_CONST, minusOne, I32_EQ];
  const answer = [IF, I32, CALL, 0, ELSE, LOCAL_GET, arity, END, END];
  const code = [1, 1, I32, ...call, ...answer];
  return [...leb(code.length), ...code];
}

/** So that a backtrace shows the functions by their names. */
function nameSection(): number[] {
  const first = NAMES.length + 1;
  const names = vector(NAMES.map((name, index) => [...leb(first + index), ...text(name)]));
  return section(0, [...text("name"), NAME_SUBSECTION, ...leb(names.length), ...names]);
}
