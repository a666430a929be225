import type { InstanceContext, Interfaces } from "./instance-context.ts";
import { GuestError } from "./io/guest-error.ts";
import { Resource } from "./io/resource.ts";

/** `error` of wasi:keyvalue/store. */
export type KeyvalueError =
  | { readonly tag: "no-such-store" }
  | { readonly tag: "access-denied" }
  | { readonly tag: "other"; readonly val: string };

/** Nobody holds one yet: {@link keyvalueInterfaces} opens none. */
class Bucket extends Resource {}
class Cas extends Resource {}

/**
 * wasi:keyvalue: there is no store behind it yet, so that `open` answers access-denied, and says so
 * in the log: an annotation would not help.
 */
export function keyvalueInterfaces({ shared }: InstanceContext): Interfaces {
  const open = (name: string): never => {
    shared.denials.unavailable("wasi:keyvalue/store", name, "this node has no keyvalue store");
    throw new GuestError<KeyvalueError>({ tag: "access-denied" });
  };
  const closed = (): never => {
    throw new GuestError<KeyvalueError>({ tag: "access-denied" });
  };
  return {
    "wasi:keyvalue/store": { open, Bucket },
    "wasi:keyvalue/atomics": { increment: closed, swap: closed, Bucket, Cas },
    "wasi:keyvalue/batch": { getMany: closed, setMany: closed, deleteMany: closed, Bucket },
  };
}
