import type { Clock, Logger, Random } from "../lib/index.ts";
import { DnsServer, type DnsAddress } from "./dns-server.ts";
import { Forwarder, type Upstream } from "./forwarder.ts";
import { machineResolvers } from "./machine-resolvers.ts";
import { Responder } from "./responder.ts";
import { exchangeOverTcp, exchangeOverUdp } from "./wire-exchange.ts";
import type { ClusterZone } from "./zone.ts";

export interface ClusterDnsOptions {
  readonly zone: ClusterZone;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Where names outside are asked; the machine's resolvers unless given. */
  readonly upstreams?: () => readonly Upstream[];
  /** Whether another process listens there too, which is about to leave. */
  readonly sharesPorts?: () => boolean;
}

export interface ClusterDns {
  readonly address: DnsAddress;
  close(): void;
}

/**
 * Answers for the cluster's names over UDP and TCP at the first of these addresses that can be
 * had. Rejects with why the last one cannot.
 */
export async function listenForDns(
  options: ClusterDnsOptions,
  addresses: readonly DnsAddress[],
): Promise<ClusterDns> {
  const { zone, clock, random, logger, upstreams = machineResolvers } = options;
  const own: DnsAddress[] = [];
  // A machine whose resolver is this server would be asked what it was asked.
  const isOwn = ({ address, port }: Upstream): boolean =>
    own.some((each) => each.hostname === address && each.port === port);
  const forwarder = new Forwarder({
    clock,
    random,
    upstreams: () => upstreams().filter((each) => !isOwn(each)),
    overUdp: exchangeOverUdp,
    overTcp: exchangeOverTcp,
  });
  const responder = new Responder({ zone, forwarder, clock });
  let problem: unknown = new Error("no address to listen on");
  for (const wanted of addresses) {
    const server = new DnsServer({
      responder,
      clock,
      logger,
      ...(options.sharesPorts === undefined ? {} : { sharesPorts: options.sharesPorts }),
    });
    try {
      const port = await server.listen(wanted);
      const address = { hostname: wanted.hostname, port };
      own.push(address);
      return { address, close: () => server.close() };
    } catch (error) {
      logger.debug("dns", { ...wanted, error: String(error) });
      problem = error;
    }
  }
  throw problem;
}
