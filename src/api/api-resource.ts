import type { KubeObject } from "../apimachinery/index.ts";

/** Where a kind is served, typed by the object found there; what a typed client is asked with. */
export interface ApiResource<T extends KubeObject> {
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower case: the path segment. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Carries the object type only; never set. */
  readonly object?: T;
}
