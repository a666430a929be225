import type { EndpointSlice } from "../api/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { Client } from "./client.ts";
import { createInformer } from "./informer.ts";
import { ENDPOINT_SLICES } from "./resources.ts";

export interface FollowServersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Base URLs of all API servers, in order; called with each change, never with none. */
  readonly onChange: (servers: readonly string[]) => void;
}

/** Keeps a list of API servers fresh from the endpoints of Service `default/kubernetes`. */
export function followServers(options: FollowServersOptions): void {
  const { client, clock, random, logger, signal, onChange } = options;
  const slices = createInformer(client, ENDPOINT_SLICES, {
    clock,
    random,
    logger,
    namespace: "default",
    labelSelector: "kubernetes.io/service-name=kubernetes",
  });
  let told = "";
  const tell = (): void => {
    const servers = serversIn(slices.lister.list());
    if (servers.length === 0 || servers.join() === told) return;
    told = servers.join();
    onChange(servers);
  };
  slices.addHandler({ onAdd: tell, onUpdate: tell, onDelete: tell });
  slices.start(signal);
}

/** `https://ip:port` of each ready endpoint, in order and once. */
export function serversIn(slices: readonly EndpointSlice[]): readonly string[] {
  const found = slices.flatMap(({ ports, endpoints }) =>
    (ports ?? []).flatMap(({ port }) =>
      (endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .flatMap(({ addresses }) => addresses.map((address) => `https://${address}:${port}`)),
    ),
  );
  return [...new Set(found)].sort();
}
