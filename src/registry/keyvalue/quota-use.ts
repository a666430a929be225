import type { Store, Term } from "../../store/index.ts";
import { type Amount, quotaExceeded } from "./namespace-quota.ts";
import { chargeOf, namespaceValues, partsOf, storeValues } from "./value-key.ts";

/** Room set aside for a write until its outcome is known. Exactly one of the three is called. */
export interface SetAside {
  committed(): void;
  /** It was not written, and will not be. */
  refused(): void;
  /** It may have been written: what the namespace has is counted anew when nothing is under way. */
  unknown(): void;
}

interface Use {
  bytes: number;
  keys: number;
  /** Writes under way. */
  pending: number;
  stale: boolean;
}

/**
 * What the leader of one term knows of the room that namespaces use: counted once from the store,
 * then kept in step with each write. Worth nothing in another term.
 */
export class QuotaUse {
  readonly term: Term;
  readonly #store: Store;
  readonly #uses = new Map<string, Use>();

  constructor(term: Term, store: Store) {
    this.term = term;
    this.#store = store;
  }

  /**
   * Sets room aside for a change, which is given back when the write is refused. What gets less is
   * never refused, and counts only once it is written. Throws 403.
   */
  setAside(namespace: string, change: Amount, quota: Amount): SetAside {
    const use = this.#useOf(namespace);
    const beyondBytes = change.bytes > 0 && use.bytes + change.bytes > quota.bytes;
    const beyondKeys = change.keys > 0 && use.keys + change.keys > quota.keys;
    if (beyondBytes || beyondKeys) throw quotaExceeded(namespace, quota, use);
    const more = { bytes: Math.max(0, change.bytes), keys: Math.max(0, change.keys) };
    add(use, more, 1);
    use.pending++;
    return {
      committed: () => {
        add(use, more, -1);
        add(use, change, 1);
        use.pending--;
      },
      refused: () => {
        add(use, more, -1);
        use.pending--;
      },
      unknown: () => {
        use.stale = true;
        use.pending--;
      },
    };
  }

  #useOf(namespace: string): Use {
    const known = this.#uses.get(namespace);
    if (known !== undefined && !(known.stale && known.pending === 0)) return known;
    const use: Use = { bytes: 0, keys: 0, pending: 0, stale: false };
    let prefix = "";
    for (const kv of this.#store.list(namespaceValues(namespace))) {
      if (prefix === "" || !kv.key.startsWith(prefix)) prefix = storeValues(partsOf(kv.key));
      use.bytes += chargeOf(kv, prefix);
      use.keys++;
    }
    this.#uses.set(namespace, use);
    return use;
  }
}

function add(use: Use, { bytes, keys }: Amount, sign: 1 | -1): void {
  use.bytes += sign * bytes;
  use.keys += sign * keys;
}
