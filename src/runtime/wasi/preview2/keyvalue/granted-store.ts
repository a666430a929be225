import { KEYVALUE_STORES_ANNOTATION } from "../../component/pod-grants.ts";
import {
  type KeyvalueAnswer,
  type KeyvalueCall,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
} from "../../component/keyvalue-protocol.ts";
import type { InstanceContext } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";
import type { InstanceScope } from "../io/instance-scope.ts";

/** `error` of wasi:keyvalue/store; Spin's key-value has the same and one more. */
export type KeyvalueError =
  | { readonly tag: "no-such-store" }
  | { readonly tag: "access-denied" }
  | { readonly tag: "other"; readonly val: string };

/** What a write over a named revision says when there is another one. */
export interface Overtaken {
  readonly overtaken: true;
}

type Answered<Type extends KeyvalueAnswer["type"]> = Extract<KeyvalueAnswer, { type: Type }>;

/** What a store is called that nobody gave a name. */
const DEFAULT_STORE = "default";
const STORE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NO_REVISION = 0;

/**
 * A store that the pod's annotation names, for one instance: what wasi:keyvalue and Spin's
 * key-value are made of. Every method throws or rejects with GuestError of {@link KeyvalueError}.
 */
export class GrantedStore {
  readonly name: string;
  readonly #interfaceName: string;
  readonly #context: InstanceContext;

  /** Throws access-denied, and says in the log once which annotation would help. */
  static open(context: InstanceContext, interfaceName: string, identifier: string): GrantedStore {
    const name = identifier === "" ? DEFAULT_STORE : identifier;
    if (!STORE_NAME.test(name)) throw keyvalueError({ tag: "no-such-store" });
    const { options, shared } = context;
    if (!options.grants.keyvalueStores.includes(name)) {
      shared.denials.tell(interfaceName, name, KEYVALUE_STORES_ANNOTATION);
      throw keyvalueError({ tag: "access-denied" });
    }
    return new GrantedStore(context, interfaceName, name);
  }

  private constructor(context: InstanceContext, interfaceName: string, name: string) {
    this.#context = context;
    this.#interfaceName = interfaceName;
    this.name = name;
  }

  get scope(): InstanceScope {
    return this.#context.scope;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.read(key)).value;
  }

  /** The value with its revision; revision 0 for a key that is not there. */
  async read(key: string): Promise<{ readonly value?: Uint8Array; readonly revision: number }> {
    const answer = await this.#ask({ op: "get", store: this.name, key });
    if (answer.type === "absent") return { revision: NO_REVISION };
    return expectAnswer(answer, "value");
  }

  async set(key: string, value: Uint8Array): Promise<void> {
    expectAnswer(await this.#ask({ op: "set", store: this.name, key, value }), "done");
  }

  /** Writes over this revision only. */
  async swap(key: string, value: Uint8Array, expected: number): Promise<Overtaken | undefined> {
    const answer = await this.#ask({ op: "set", store: this.name, key, value, expected });
    if (answer.type === "refused" && answer.why === "conflict") return { overtaken: true };
    expectAnswer(answer, "done");
    return undefined;
  }

  /** A key that is not there is deleted already. */
  async delete(key: string): Promise<void> {
    const answer = await this.#ask({ op: "delete", store: this.name, key });
    if (answer.type !== "absent") expectAnswer(answer, "done");
  }

  async exists(key: string): Promise<boolean> {
    const answer = await this.#ask({ op: "exists", store: this.name, key });
    if (answer.type === "absent") return false;
    expectAnswer(answer, "exists");
    return true;
  }

  async increment(key: string, delta: bigint): Promise<bigint> {
    const call = { op: "increment", store: this.name, key, delta: delta.toString() } as const;
    return BigInt(expectAnswer(await this.#ask(call), "number").number);
  }

  /** One page of the keys; the cursor asks for the next one. */
  async keys(
    cursor?: string,
  ): Promise<{ readonly keys: readonly string[]; readonly cursor?: string }> {
    const from = cursor === undefined ? {} : { cursor };
    const answer = await this.#ask({ op: "keys", store: this.name, ...from });
    return expectAnswer(answer, "keys");
  }

  async #ask(call: KeyvalueCall): Promise<KeyvalueAnswer> {
    const { shared, scope } = this.#context;
    assertSize(call);
    if (shared.keyvalue === undefined) {
      const why = "this node has no way to key-value stores";
      shared.denials.unavailable(this.#interfaceName, this.name, why);
      throw keyvalueError({ tag: "access-denied" });
    }
    const answered = shared.keyvalue.call(call);
    let answer: KeyvalueAnswer | undefined;
    // The instance may be ended while it waits.
    await scope.wait((done) => {
      void answered.then((given) => {
        answer = given;
        done();
      });
      return () => undefined;
    });
    if (answer?.type === "refused" && answer.why === "denied") {
      shared.denials.unavailable(this.#interfaceName, this.name, answer.message);
      throw keyvalueError({ tag: "access-denied" });
    }
    return answer ?? { type: "refused", why: "other", message: "there was no answer" };
  }
}

/** What is larger is not even sent. Throws `other`. */
function assertSize(call: KeyvalueCall): void {
  if (call.op === "keys") return;
  const keyBytes = Buffer.byteLength(call.key);
  if (keyBytes > MAX_KEY_BYTES) {
    const val = `the key has ${keyBytes} bytes, at most ${MAX_KEY_BYTES} are allowed`;
    throw keyvalueError({ tag: "other", val });
  }
  if (call.op === "set" && call.value.length > MAX_VALUE_BYTES) {
    const given = `the value has ${call.value.length} bytes`;
    const val = `${given}, at most ${MAX_VALUE_BYTES} are allowed`;
    throw keyvalueError({ tag: "other", val });
  }
}

export function keyvalueError(error: KeyvalueError): GuestError<KeyvalueError> {
  return new GuestError(error);
}

/** Throws `other` for a refusal, and for what answers another question. */
function expectAnswer<const Type extends KeyvalueAnswer["type"]>(
  answer: KeyvalueAnswer,
  type: Type,
): Answered<Type> {
  if (answer.type === type) return answer as Answered<Type>;
  const val = answer.type === "refused" ? answer.message : `the node answered ${answer.type}`;
  throw keyvalueError({ tag: "other", val });
}
