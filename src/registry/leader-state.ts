import { type ResourceDefinition, LEASES, SERVICES } from "../api/index.ts";
import { groupResourceText } from "../apimachinery/index.ts";
import type { Clock, Random } from "../lib/index.ts";
import type { Store, Term } from "../store/index.ts";
import { QuotaLedger } from "./admission/quota/quota-ledger.ts";
import { AddressPool, NumberPool } from "./address-pool.ts";
import { EventLease } from "./event-lease.ts";
import { definitionOf, type Lookup } from "./lookup.ts";
import { NODE_LEASE_NAMESPACE, NodeLeaseOverlay } from "./node-lease-overlay.ts";
import { namespacePrefix } from "./storage-key.ts";
import { signingRequestStrategy } from "./strategies/signing-request-strategy.ts";
import { crdStrategy } from "./strategies/crd-strategy.ts";
import { jobStrategy } from "./strategies/job-strategy.ts";
import { namespaceStrategy } from "./strategies/namespace-strategy.ts";
import { podStrategy } from "./strategies/pod-strategy.ts";
import { secretStrategy } from "./strategies/secret-strategy.ts";
import { ServiceStrategy } from "./strategies/service-strategy.ts";
import type { Strategy } from "./strategy.ts";

export interface LeaderStateOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly lookup: Lookup;
  /** Where Services get their addresses, "127.43.0.0/16". */
  readonly serviceCidr: string;
  /** Where Services get their node ports, both ends included. */
  readonly nodePortRange: { readonly from: number; readonly to: number };
}

const NO_STRATEGY: Strategy = {};

/**
 * What the leader of one term keeps in memory: who holds which address and port, the lease of new
 * events, the heartbeats of nodes. Read from the store when the term begins, and worth nothing
 * after it: what another leader has given out since is not in it.
 */
export class LeaderState {
  readonly term: Term;
  readonly eventLease: EventLease;
  readonly heartbeats: NodeLeaseOverlay;
  readonly quotas: QuotaLedger;
  readonly #strategies: ReadonlyMap<string, Strategy>;

  /** The store must have applied every write of earlier terms. */
  constructor(term: Term, options: LeaderStateOptions) {
    const { store, clock, lookup } = options;
    this.term = term;
    this.eventLease = new EventLease(store, clock);
    const leases = definitionOf(LEASES);
    this.heartbeats = new NodeLeaseOverlay(lookup.codec(leases), clock);
    // What earlier leaders heard of the nodes is lost: nobody may be late before it could speak.
    this.heartbeats.grantAll(store.list(namespacePrefix(leases, NODE_LEASE_NAMESPACE)));
    this.quotas = new QuotaLedger(options);
    this.#strategies = strategiesOf(options);
  }

  strategyOf(definition: ResourceDefinition): Strategy {
    return this.#strategies.get(groupResourceText(definition)) ?? NO_STRATEGY;
  }
}

function strategiesOf(options: LeaderStateOptions): ReadonlyMap<string, Strategy> {
  const { nodePortRange, random, serviceCidr, lookup } = options;
  const services = new ServiceStrategy(
    {
      addresses: new AddressPool(serviceCidr, random),
      nodePorts: new NumberPool(nodePortRange, random),
      nodePortRange: `${nodePortRange.from}-${nodePortRange.to}`,
    },
    lookup.all(SERVICES, ""),
  );
  return new Map<string, Strategy>([
    ["namespaces", namespaceStrategy],
    ["pods", podStrategy],
    ["secrets", secretStrategy],
    ["services", services],
    ["jobs.batch", jobStrategy],
    ["certificatesigningrequests.certificates.k8s.io", signingRequestStrategy],
    ["customresourcedefinitions.apiextensions.k8s.io", crdStrategy],
  ]);
}
