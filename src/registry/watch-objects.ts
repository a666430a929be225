import type { Revision } from "../store/index.ts";
import type { Selection } from "./list-page.ts";
import type { StoredObject } from "./object-codec.ts";

export interface WatchRequest extends Selection {
  /** Events behind this one; absent or "0" starts with the objects that exist. */
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  /** Asks for (or declines) the existing objects, and a bookmark behind them. */
  readonly sendInitialEvents?: boolean;
  readonly allowWatchBookmarks?: boolean;
  readonly signal: AbortSignal;
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly stored: StoredObject }
  /** Everything up to `revision` was delivered; `initialEventsEnd` marks the end of the start. */
  | { readonly type: "BOOKMARK"; readonly revision: Revision; readonly initialEventsEnd: boolean };
