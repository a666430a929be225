import type { SequentialModel } from "./linearizability.ts";

/** Every write of a history writes a value of its own, so that a value tells which write it was. */
export type Value = number;
/** No object of this name. */
export const ABSENT = 0;

/** A call on one object of the API, with its answer. */
export type ObjectCall =
  | {
      readonly verb: "create";
      readonly value: Value;
      readonly answer: "done" | "exists" | "unknown";
    }
  | {
      readonly verb: "update";
      /** The value that the client saw, and whose resourceVersion it gave. */
      readonly expected: Value;
      readonly value: Value;
      readonly answer: "done" | "conflict" | "missing" | "unknown";
    }
  | {
      readonly verb: "delete";
      /** Undefined deletes whatever there is. */
      readonly expected: Value | undefined;
      readonly answer: "done" | "conflict" | "missing" | "unknown";
    }
  | { readonly verb: "get"; readonly answer: Value };

const NEVER: readonly Value[] = [];

/** One object of the Kubernetes API with compare-and-swap by resourceVersion. */
export const OBJECT_MODEL: SequentialModel<Value, ObjectCall> = {
  initial: ABSENT,
  keyOf: String,
  apply(state, call) {
    if (call.verb === "get") return call.answer === state ? [state] : NEVER;
    if (call.verb === "create") {
      if (call.answer === "exists") return state === ABSENT ? NEVER : [state];
      if (state === ABSENT) return outcomes(call.answer, state, call.value);
      return call.answer === "unknown" ? [state] : NEVER;
    }
    const next = call.verb === "update" ? call.value : ABSENT;
    const { answer, expected } = call;
    if (answer === "missing") return state === ABSENT ? [state] : NEVER;
    if (answer === "conflict") return state === ABSENT || state === expected ? NEVER : [state];
    const possible = state !== ABSENT && (expected === undefined || state === expected);
    if (possible) return outcomes(answer, state, next);
    return answer === "unknown" ? [state] : NEVER;
  },
};

function outcomes(answer: "done" | "unknown", state: Value, next: Value): readonly Value[] {
  return answer === "done" ? [next] : [next, state];
}
