import {
  address,
  containerRuntime,
  directory,
  domain,
  joinToken,
  logLevel,
  maxPods,
  nodeName,
  parseFlags,
  port,
  reachableAddress,
  reachableHost,
  serverUrl,
  withoutUndefined,
  withVariables,
} from "./flag-schemas.ts";
import { findGivenToken } from "./given-token.ts";
import type { Environment } from "./given-token.ts";
import { UsageError } from "./usage-error.ts";

/** How a worker node is to run; what is undefined is chosen at the first start and then kept. */
export interface AgentFlags {
  readonly dataDir: string;
  /** Any server of the cluster: "https://HOST:PORT". Needed at the first start only. */
  readonly join?: string;
  /** A join token, needed at the first start only. Never logged. */
  readonly token?: string;
  readonly nodeName?: string;
  readonly nodeIp?: string;
  /** Pods this node takes; by its memory when absent. */
  readonly maxPods?: number;
  /** "own", "none" or "unix:///…"; its own where one is installed, when absent. */
  readonly containerRuntimeEndpoint?: string;
  /** Where Services with node ports and Ingress listen. */
  readonly bindAddress: string;
  /** Where Ingress listens; 0 picks a free port. */
  readonly httpPort?: number;
  /** Where Ingress listens with TLS; 0 picks a free port. */
  readonly ingressHttpsPort?: number;
  /** Where the cluster's names are looked up; 0 picks a free port. */
  readonly dnsPort?: number;
  /** The end of the cluster's names, the same on all machines; "cluster.local" when absent. */
  readonly clusterDomain?: string;
  /** Where the other machines of the cluster are answered; 0 picks a free port. */
  readonly peerPort?: number;
  /** The host, without a port, under which the others reach the peer port. */
  readonly peerAddress?: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const shape = {
  dataDir: directory,
  join: serverUrl.optional(),
  token: joinToken.optional(),
  nodeName: nodeName.optional(),
  nodeIp: reachableAddress.optional(),
  maxPods: maxPods.optional(),
  containerRuntimeEndpoint: containerRuntime.optional(),
  bindAddress: address,
  httpPort: port.optional(),
  ingressHttpsPort: port.optional(),
  dnsPort: port.optional(),
  clusterDomain: domain.optional(),
  peerPort: port.optional(),
  peerAddress: reachableHost.optional(),
  logLevel,
};

/** Like parseServerFlags, for `kubun agent`. @throws UsageError */
export function parseAgentFlags(
  given: Readonly<Record<string, unknown>>,
  environment: Environment = process.env,
): AgentFlags {
  const token = findGivenToken(given, environment);
  const flags: AgentFlags = withoutUndefined(
    parseFlags(shape, withVariables({ ...given, token }, environment)),
  );
  if (flags.join === undefined && (given["token"] ?? given["tokenFile"]) !== undefined) {
    throw new UsageError(
      "--token is given without --join: give --join https://HOST:PORT too, or neither",
    );
  }
  return flags;
}
