import { checkLinearizable } from "../linearizability.ts";
import type { Operation } from "../linearizability.ts";
import { OBJECT_MODEL } from "../object-model.ts";
import type { ObjectCall, Value } from "../object-model.ts";
import { ClusterViolation } from "./cluster-violation.ts";

/** A write that was answered, with the revision it was given. */
export interface Acknowledged {
  readonly key: string;
  readonly value: Value;
  readonly revision: number;
}

/** Everything that clients saw, object by object. */
export class ClientHistory {
  readonly #byKey = new Map<string, Operation<ObjectCall>[]>();
  readonly #valueAt = new Map<number, string>();
  readonly acknowledged: Acknowledged[] = [];
  /** The highest revision in any answer so far. */
  highestRevision = 0;

  record(key: string, operation: Operation<ObjectCall>): void {
    const operations = this.#byKey.get(key);
    if (operations === undefined) this.#byKey.set(key, [operation]);
    else operations.push(operation);
  }

  acknowledge(write: Acknowledged): void {
    this.acknowledged.push(write);
    this.sawObject(write.key, write.value, write.revision);
  }

  /** A revision belongs to one write of one object for ever. */
  sawObject(key: string, value: Value, revision: number): void {
    const what = `${key} = ${value}`;
    const known = this.#valueAt.get(revision);
    if (known !== undefined && known !== what) {
      throw new ClusterViolation(
        "revisions",
        `revision ${revision} is ${what} here and ${known} elsewhere`,
      );
    }
    this.#valueAt.set(revision, what);
    this.sawRevision(revision);
  }

  sawRevision(revision: number): void {
    this.highestRevision = Math.max(this.highestRevision, revision);
  }

  /** How many histories were checked. */
  check(): number {
    for (const [key, operations] of this.#byKey) {
      const verdict = checkLinearizable(operations, OBJECT_MODEL);
      if (verdict.type === "linearizable") continue;
      const lines =
        verdict.type === "too-long"
          ? ["the search gave up"]
          : [
              ...verdict.order.slice(-8).map((operation) => `  ${show(operation)}`),
              "none of these fits behind:",
              ...verdict.stuck.slice(0, 8).map((operation) => `  ${show(operation)}`),
            ];
      throw new ClusterViolation("linearizability", `history of ${key}\n${lines.join("\n")}`);
    }
    return this.#byKey.size;
  }
}

function show({ call, start, end }: Operation<ObjectCall>): string {
  return `${start.toFixed(3)}–${end.toFixed(3)} ${JSON.stringify(call)}`;
}
