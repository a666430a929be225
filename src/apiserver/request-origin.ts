import type { Term } from "../registry/index.ts";
import type { User } from "./user.ts";

/** What whoever hands a request in from within the process says about it. */
export interface RequestOrigin {
  /** Who makes it, found out already: its own credentials are not looked at. */
  readonly user?: User;
  /** It counts only in this term of leadership. */
  readonly term?: Term;
}

/** Not a text: what listens on a port hands in an object of its own, which must mean nothing. */
const ORIGIN = Symbol("origin");

/** The second argument of `app.fetch` that carries an origin. */
export function withOrigin(origin: RequestOrigin): object {
  return { [ORIGIN]: origin };
}

export function originOf(bindings: unknown): RequestOrigin {
  if (typeof bindings !== "object" || bindings === null || !(ORIGIN in bindings)) return {};
  return bindings[ORIGIN] as RequestOrigin;
}
