import type { StoredObject } from "./object-codec.ts";
import type { Revision } from "../store/index.ts";

export interface Selection {
  /** "" selects all namespaces. */
  readonly namespace: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListRequest extends Selection {
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly limit?: number;
  readonly continue?: string;
}

export interface ObjectList {
  /** The state of the store that the list shows. */
  readonly revision: Revision;
  readonly items: readonly StoredObject[];
  /** Present when there is more. */
  readonly continue?: string;
  /** How many follow this page; unknown with selectors. */
  readonly remainingItemCount?: number;
}
