import {
  addAmounts,
  amountsFrom,
  quotaNamesFor,
  quotaUsage,
  RESOURCE_QUOTAS,
  type ResourceAmounts,
  type ResourceDefinition,
  type ResourceQuota,
} from "../../../api/index.ts";
import { forbidden, type KubeObject, Quantity } from "../../../apimachinery/index.ts";
import type { Clock } from "../../../lib/index.ts";
import type { Store } from "../../../store/index.ts";
import type { Lookup } from "../../lookup.ts";
import { namespacePrefix, objectKey } from "../../storage-key.ts";
import type { Reservation } from "../../strategy.ts";
import { refusedName } from "../admission-plugin.ts";
import { missingAmounts } from "./missing-amounts.ts";

export interface QuotaLedgerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly lookup: Lookup;
}

/** A write that quotas have granted and that is on its way to the store. */
interface Granted {
  readonly definition: ResourceDefinition;
  readonly key: string;
  readonly next: Readonly<KubeObject>;
  /** The resourceVersion it replaces; absent for a creation. */
  readonly replaces: string | undefined;
  readonly added: ResourceAmounts;
}

const NOTHING: Reservation = { commit: () => undefined, rollback: () => undefined };

/**
 * ResourceQuota. What is used is counted from the store, plus what this leader has granted and not
 * yet written, so that two writes never get the same room and a failed one leaves nothing behind.
 * `status.used` is not read: its controller writes it for people to see. Belongs to one term.
 */
export class QuotaLedger {
  readonly #options: QuotaLedgerOptions;
  readonly #granted = new Set<Granted>();
  /** What stored objects count; they are never changed. */
  readonly #usages = new WeakMap<object, ResourceAmounts>();

  constructor(options: QuotaLedgerOptions) {
    this.#options = options;
  }

  /** Sets room aside for a write. Throws 403 in Kubernetes' words when there is none. */
  reserve(
    definition: ResourceDefinition,
    next: Readonly<KubeObject>,
    old: Readonly<KubeObject> | undefined,
  ): Reservation {
    const { namespace = "" } = next.metadata;
    if (!definition.namespaced) return NOTHING;
    const quotas = this.#options.lookup.all(RESOURCE_QUOTAS, namespace);
    if (quotas.length === 0) return NOTHING;
    const usage = quotaUsage(definition, next, this.#options.clock.now());
    const added = old === undefined ? usage : this.#increase(definition, usage, old);
    const asked = quotas
      .map((quota) => ({ quota, names: quotaNamesFor(quota, definition, next) }))
      .filter(({ names }) => names.length > 0);
    if (old === undefined) {
      for (const { quota, names } of asked) refuseIncomplete(definition, next, quota, names);
    }
    if (added.size === 0 || asked.length === 0) return NOTHING;
    for (const { quota, names } of asked) this.#grant(definition, next, quota, names, added);
    const key = objectKey(definition, namespace, next.metadata.name ?? "");
    const replaces = old?.metadata.resourceVersion;
    const granted: Granted = { definition, key, next, replaces, added };
    this.#granted.add(granted);
    const end = (): void => void this.#granted.delete(granted);
    return { commit: end, rollback: end };
  }

  #grant(
    definition: ResourceDefinition,
    next: Readonly<KubeObject>,
    quota: Readonly<ResourceQuota>,
    names: readonly string[],
    added: ResourceAmounts,
  ): void {
    const wanted = names.filter((name) => added.has(name));
    if (wanted.length === 0) return;
    const hard = amountsFrom(quota.spec?.hard);
    const used = this.#used(definition, quota, wanted);
    const exceeded = wanted.filter((name) => {
      const sum = amountOf(used, name).add(amountOf(added, name));
      return sum.compare(amountOf(hard, name)) > 0;
    });
    if (exceeded.length === 0) return;
    const requested = textOf(added, exceeded);
    const present = textOf(used, exceeded);
    const why =
      `exceeded quota: ${quota.metadata.name}, requested: ${requested}, ` +
      `used: ${present}, limited: ${textOf(hard, exceeded)}`;
    throw forbidden(definition, refusedName(next), why);
  }

  /** What everything of this kind in the quota's scopes counts, granted writes among it. */
  #used(
    definition: ResourceDefinition,
    quota: Readonly<ResourceQuota>,
    names: readonly string[],
  ): ResourceAmounts {
    const { store, lookup } = this.#options;
    const codec = lookup.codec(definition);
    const { namespace = "" } = quota.metadata;
    const sum = new Map<string, Quantity>();
    const count = (object: Readonly<KubeObject>, amounts: ResourceAmounts): void => {
      if (quotaNamesFor(quota, definition, object).length === 0) return;
      const counted = names.filter((name) => amounts.has(name));
      addAmounts(sum, new Map(counted.map((name) => [name, amountOf(amounts, name)])));
    };
    for (const kv of store.list(namespacePrefix(definition, namespace))) {
      const { object } = codec.stored(kv);
      count(object, this.#usageOf(definition, object));
    }
    for (const granted of this.#granted) {
      const isOther = granted.next.metadata.namespace !== namespace;
      if (isOther || granted.definition !== definition || this.#isWritten(granted)) continue;
      count(granted.next, granted.added);
    }
    return sum;
  }

  #usageOf(definition: ResourceDefinition, object: Readonly<KubeObject>): ResourceAmounts {
    // What is being deleted stops counting at its time.
    const now = this.#options.clock.now();
    if (object.metadata.deletionTimestamp !== undefined) return quotaUsage(definition, object, now);
    const known = this.#usages.get(object);
    if (known !== undefined) return known;
    const usage = quotaUsage(definition, object, now);
    this.#usages.set(object, usage);
    return usage;
  }

  /** The store may show a write before its writer hears of it: then it must not count twice. */
  #isWritten({ definition, key, replaces }: Granted): boolean {
    const { store, lookup } = this.#options;
    const kv = store.get(key);
    if (kv === undefined) return false;
    if (replaces === undefined) return true;
    return lookup.codec(definition).stored(kv).object.metadata.resourceVersion !== replaces;
  }

  #increase(
    definition: ResourceDefinition,
    usage: ResourceAmounts,
    old: Readonly<KubeObject>,
  ): ResourceAmounts {
    const before = this.#usageOf(definition, old);
    const increases = new Map<string, Quantity>();
    for (const [name, amount] of usage) {
      const more = amount.sub(amountOf(before, name));
      if (more.nanos > 0n) increases.set(name, more);
    }
    return increases;
  }
}

function refuseIncomplete(
  definition: ResourceDefinition,
  next: Readonly<KubeObject>,
  quota: Readonly<ResourceQuota>,
  names: readonly string[],
): void {
  const missing = missingAmounts(definition, next, names);
  if (missing === undefined) return;
  const why = `failed quota: ${quota.metadata.name}: ${missing}`;
  throw forbidden(definition, refusedName(next), why);
}

function amountOf(amounts: ResourceAmounts, name: string): Quantity {
  return amounts.get(name) ?? Quantity.zero;
}

function textOf(amounts: ResourceAmounts, names: readonly string[]): string {
  return [...names]
    .sort()
    .map((name) => `${name}=${amountOf(amounts, name).toString()}`)
    .join(",");
}
