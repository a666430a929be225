import { bootstrap, deleteEndedTokens } from "../apiserver/index.ts";
import type { Client } from "../client/index.ts";
import { startControllers } from "../controllers/index.ts";
import type { ControllersOptions } from "../controllers/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type { Registry } from "../registry/index.ts";
import { startScheduler } from "../scheduler/index.ts";
import type { Store, Term } from "../store/index.ts";
import type { Component } from "./components.ts";
import { showLeaderLeases } from "./leader-leases.ts";
import { whileLeading } from "./while-leading.ts";

/** How soon the `kubernetes` Service and its like are back, as in a Kubernetes control plane. */
const BOOTSTRAP_INTERVAL_MS = 10_000;

export interface LeaderWorkOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** This server's API for one term: refuses when the term is over, and forwards nothing. */
  readonly termFetch: (term: Term) => Fetch;
  readonly clientOf: (component: Component, fetch: Fetch) => Client;
  readonly nodeName: string;
  readonly clusterCidr: string;
  /** The authority's certificate, PEM. */
  readonly rootCa: string;
  readonly signAccountToken: NonNullable<ControllersOptions["signAccountToken"]>;
  readonly certificates: NonNullable<ControllersOptions["certificates"]>;
  /** How long a node may be silent before it counts as lost. */
  readonly nodeGraceMs: number | undefined;
  /** Where the API servers are, as the `kubernetes` Service tells. */
  readonly servers: () => readonly { readonly address: string; readonly port: number }[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Runs what only the leader does, term by term: keeps the objects every cluster has, and runs the
 * controllers and the scheduler. Resolves once the cluster has those objects: this server made
 * them, or another one leads.
 */
export async function runLeaderWork(options: LeaderWorkOptions): Promise<void> {
  const { store, registry, clock, logger, signal } = options;
  const bootstrapped = Promise.withResolvers<void>();
  const stopListening = store.onLeadership(({ self, leader }) => {
    if (!self && leader !== undefined) bootstrapped.resolve();
  });
  const stopForgetting = store.onLeadership(({ self }) => {
    if (!self) registry.follow();
  });
  signal.addEventListener("abort", stopForgetting);
  whileLeading({
    store,
    clock,
    logger,
    signal,
    async begin(term, ended) {
      await registry.lead(term);
      await keepBootstrapped(options, ended);
      bootstrapped.resolve();
      startLeaderParts(options, term, ended);
    },
  });
  const { self, leader } = store.leadership;
  if (!self && leader !== undefined) bootstrapped.resolve();
  await bootstrapped.promise;
  stopListening();
}

function startLeaderParts(options: LeaderWorkOptions, term: Term, signal: AbortSignal): void {
  const { clock, random, logger, nodeName, clusterCidr, rootCa, nodeGraceMs } = options;
  const fetch = options.termFetch(term);
  const context = { clock, random, signal };
  startControllers({
    ...context,
    client: options.clientOf("controllers", fetch),
    logger: logger.child({ room: "controllers" }),
    rootCa,
    signAccountToken: options.signAccountToken,
    certificates: options.certificates,
    clusterCidr,
    ...(nodeGraceMs === undefined ? {} : { nodeGraceMs }),
  });
  startScheduler({
    ...context,
    client: options.clientOf("scheduler", fetch),
    logger: logger.child({ room: "scheduler" }),
  });
  const client = options.clientOf("apiserver", fetch);
  showLeaderLeases(client, { holder: nodeName, nowMs: clock.now() }).catch((error: unknown) => {
    if (!signal.aborted) logger.warn("the leader's Leases", { error: String(error) });
  });
}

/** Makes what every cluster has, and again when somebody deleted it or the servers changed. */
async function keepBootstrapped(options: LeaderWorkOptions, signal: AbortSignal): Promise<void> {
  const { store, registry, clock, logger, servers } = options;
  const ensure = (): Promise<void> =>
    bootstrap({ registry: registry.fenced(), logger, servers: servers() });
  const tidy = async (): Promise<void> => {
    const ids = await deleteEndedTokens(registry.fenced(), clock.now());
    if (ids.length > 0) logger.info("join tokens ended", { ids });
  };
  const retry = (): void => {
    ensure().catch((error: unknown) => {
      if (!signal.aborted) logger.warn("bootstrap", { error: String(error) });
    });
  };
  await ensure();
  const stopListening = store.membership.onChange(retry);
  const repeat = async (): Promise<void> => {
    for (;;) {
      await sleep(clock, BOOTSTRAP_INTERVAL_MS, signal);
      if (signal.aborted) return stopListening();
      retry();
      tidy().catch((error: unknown) => {
        if (!signal.aborted) logger.warn("join tokens that ended", { error: String(error) });
      });
    }
  };
  void repeat();
}
