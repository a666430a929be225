import { z } from "zod";
import {
  address,
  certificateLifetimeMs,
  certificateName,
  cidr,
  containerRuntime,
  count,
  directory,
  domain,
  durationMs,
  endpoints,
  file,
  flagOf,
  joinToken,
  logLevel,
  maxPods,
  nodeName,
  parseFlags,
  port,
  portRange,
  rangesOverlap,
  reachableAddress,
  reachableHost,
  seconds,
  serverUrl,
  withoutUndefined,
  withVariables,
} from "./flag-schemas.ts";
import type { PortRange } from "./flag-schemas.ts";
import { findGivenToken, TOKEN_VARIABLE } from "./given-token.ts";
import type { Environment } from "./given-token.ts";
import { UsageError } from "./usage-error.ts";

/** How a server is to run; what is undefined is chosen at the first start and then kept. */
export interface ServerFlags {
  readonly dataDir: string;
  /** 0 picks a free port. */
  readonly httpsPort?: number;
  /** Where Ingress listens; 0 picks a free port. */
  readonly httpPort?: number;
  /** Where Ingress listens with TLS; 0 picks a free port. */
  readonly ingressHttpsPort?: number;
  /** Where the cluster's names are looked up; 0 picks a free port. */
  readonly dnsPort?: number;
  /** The end of the cluster's names, the same on all machines; "cluster.local" when absent. */
  readonly clusterDomain?: string;
  readonly bindAddress: string;
  readonly advertiseAddress?: string;
  readonly tlsSan: readonly string[];
  readonly clusterCidr?: string;
  readonly serviceCidr?: string;
  readonly serviceNodePortRange: PortRange;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** Any server of the cluster to join at the first start: "https://HOST:PORT". */
  readonly join?: string;
  /** A join token, needed at the first start only. Never logged. */
  readonly token?: string;
  /** Votes and keeps what others lack, but holds no state and runs no API. */
  readonly witness: boolean;
  /** Makes this server's state that of a new group of one, after the others are lost. */
  readonly clusterReset: boolean;
  /** Take the place of the server that runs on the data directory, when one does. */
  readonly takeOver: boolean;
  /** Origins of an external etcd cluster that holds the state instead, all of one scheme. */
  readonly datastoreEndpoint?: readonly string[];
  /** PEM files: the authority of etcd's certificates, and this server's client certificate. */
  readonly datastoreCafile?: string;
  readonly datastoreCertfile?: string;
  readonly datastoreKeyfile?: string;
  /** Where the other machines of the cluster are answered; 0 picks a free port. */
  readonly peerPort?: number;
  /** The host, without a port, under which the others reach the peer port. */
  readonly peerAddress?: string;
  readonly nodeName?: string;
  readonly nodeIp?: string;
  /** Pods this node takes; by its memory when absent. */
  readonly maxPods?: number;
  /** "own", "none" or "unix:///…"; its own where one is installed, when absent. */
  readonly containerRuntimeEndpoint?: string;
  /** How long a node may be silent before it counts as lost. */
  readonly nodeMonitorGracePeriodMs?: number;
  /** How long pods stay on a node that is not ready, or out of reach, unless they say otherwise. */
  readonly defaultNotReadyTolerationSeconds?: number;
  readonly defaultUnreachableTolerationSeconds?: number;
  /** How long certificates last that this server issues, to machines and to itself. */
  readonly clusterSigningDurationMs?: number;
  /** Where a line is written for each request; nowhere when absent. */
  readonly auditLogPath?: string;
  /** Mebibytes after which the audit log is put aside, and how many of those are kept. */
  readonly auditLogMaxsize?: number;
  readonly auditLogMaxbackup?: number;
}

/** By the flag's name; a duration has its unit in the name only afterwards. */
const shape = {
  dataDir: directory,
  httpsPort: port.optional(),
  httpPort: port.optional(),
  ingressHttpsPort: port.optional(),
  dnsPort: port.optional(),
  clusterDomain: domain.optional(),
  bindAddress: address,
  advertiseAddress: address.optional(),
  tlsSan: z.array(certificateName),
  clusterCidr: cidr.optional(),
  serviceCidr: cidr.optional(),
  serviceNodePortRange: portRange,
  logLevel,
  join: serverUrl.optional(),
  token: joinToken.optional(),
  witness: z.boolean().default(false),
  clusterReset: z.boolean().default(false),
  takeOver: z.boolean().default(false),
  datastoreEndpoint: endpoints.optional(),
  datastoreCafile: file.optional(),
  datastoreCertfile: file.optional(),
  datastoreKeyfile: file.optional(),
  peerPort: port.optional(),
  peerAddress: reachableHost.optional(),
  nodeName: nodeName.optional(),
  nodeIp: reachableAddress.optional(),
  maxPods: maxPods.optional(),
  containerRuntimeEndpoint: containerRuntime.optional(),
  nodeMonitorGracePeriod: durationMs.optional(),
  defaultNotReadyTolerationSeconds: seconds.optional(),
  defaultUnreachableTolerationSeconds: seconds.optional(),
  clusterSigningDuration: certificateLifetimeMs.optional(),
  auditLogPath: file.optional(),
  auditLogMaxsize: count.optional(),
  auditLogMaxbackup: count.optional(),
};

/**
 * Checks flags as the command line hands them over, and finds the token wherever it was put.
 * Throws a UsageError that names the flag, its value (not a secret's) and what is allowed.
 */
export function parseServerFlags(
  given: Readonly<Record<string, unknown>>,
  environment: Environment = process.env,
): ServerFlags {
  const token = findGivenToken(given, environment);
  const parsed = parseFlags(shape, withVariables({ ...given, token }, environment));
  const { nodeMonitorGracePeriod, clusterSigningDuration, ...rest } = parsed;
  const flags: ServerFlags = withoutUndefined({
    ...rest,
    nodeMonitorGracePeriodMs: nodeMonitorGracePeriod,
    clusterSigningDurationMs: clusterSigningDuration,
  });
  const problem = findContradiction(flags, given);
  if (problem !== undefined) throw new UsageError(problem);
  return flags;
}

function findContradiction(
  flags: ServerFlags,
  given: Readonly<Record<string, unknown>>,
): string | undefined {
  const { clusterCidr, serviceCidr, clusterReset, witness, datastoreEndpoint } = flags;
  if (clusterCidr !== undefined && serviceCidr !== undefined) {
    if (rangesOverlap(clusterCidr, serviceCidr)) {
      const ranges = `--service-cidr ${serviceCidr} overlaps --cluster-cidr ${clusterCidr}`;
      return `${ranges}: they must be apart`;
    }
  }
  if (flags.join === undefined && (given["token"] ?? given["tokenFile"]) !== undefined) {
    return `--token is given without --join: give --join https://HOST:PORT too, or neither`;
  }
  if (clusterReset && flags.join !== undefined) {
    return "--cluster-reset makes a group of one of this server: give it without --join";
  }
  if (clusterReset && witness) {
    return "--cluster-reset needs the state, which a witness has not: give it without --witness";
  }
  if (datastoreEndpoint !== undefined && (clusterReset || witness)) {
    return (
      `--datastore-endpoint puts the state into etcd, which has members of its own: ` +
      `give it without ${clusterReset ? "--cluster-reset" : "--witness"}`
    );
  }
  return findDatastoreContradiction(flags);
}

function findDatastoreContradiction(flags: ServerFlags): string | undefined {
  const { datastoreEndpoint, datastoreCafile, datastoreCertfile, datastoreKeyfile } = flags;
  const files = { datastoreCafile, datastoreCertfile, datastoreKeyfile };
  const [field] = Object.entries(files).find(([, path]) => path !== undefined) ?? [];
  if (field !== undefined && datastoreEndpoint?.[0]?.startsWith("https:") !== true) {
    return `${flagOf(field)} is given without --datastore-endpoint https://HOST:PORT`;
  }
  if ((datastoreCertfile === undefined) !== (datastoreKeyfile === undefined)) {
    return "--datastore-certfile and --datastore-keyfile belong together: give both, or neither";
  }
  return undefined;
}

/** What the user may still have to be told when a first start finds no token. */
export const WHERE_TOKENS_GO =
  `--token, --token-file or ${TOKEN_VARIABLE} ` +
  "(print one with `kubun token create` on a server of the cluster)";

/**
 * The flags as words that {@link parseServerFlags} reads back alike, for a server that is started
 * by another command. The token is left out: words stand in the process list.
 */
export function formatServerFlags(flags: ServerFlags): string[] {
  const { serviceNodePortRange: range, nodeMonitorGracePeriodMs: graceMs } = flags;
  const { clusterSigningDurationMs: signingMs } = flags;
  const values: Partial<Record<keyof typeof shape, string | number | boolean | undefined>> = {
    dataDir: flags.dataDir,
    httpsPort: flags.httpsPort,
    httpPort: flags.httpPort,
    ingressHttpsPort: flags.ingressHttpsPort,
    dnsPort: flags.dnsPort,
    clusterDomain: flags.clusterDomain,
    bindAddress: flags.bindAddress,
    advertiseAddress: flags.advertiseAddress,
    clusterCidr: flags.clusterCidr,
    serviceCidr: flags.serviceCidr,
    serviceNodePortRange: `${range.from}-${range.to}`,
    logLevel: flags.logLevel,
    join: flags.join,
    witness: flags.witness,
    clusterReset: flags.clusterReset,
    takeOver: flags.takeOver,
    datastoreEndpoint: flags.datastoreEndpoint?.join(","),
    datastoreCafile: flags.datastoreCafile,
    datastoreCertfile: flags.datastoreCertfile,
    datastoreKeyfile: flags.datastoreKeyfile,
    peerPort: flags.peerPort,
    peerAddress: flags.peerAddress,
    nodeName: flags.nodeName,
    nodeIp: flags.nodeIp,
    maxPods: flags.maxPods,
    containerRuntimeEndpoint: flags.containerRuntimeEndpoint,
    nodeMonitorGracePeriod: graceMs === undefined ? undefined : `${graceMs}ms`,
    defaultNotReadyTolerationSeconds: flags.defaultNotReadyTolerationSeconds,
    defaultUnreachableTolerationSeconds: flags.defaultUnreachableTolerationSeconds,
    clusterSigningDuration: signingMs === undefined ? undefined : `${signingMs}ms`,
    auditLogPath: flags.auditLogPath,
    auditLogMaxsize: flags.auditLogMaxsize,
    auditLogMaxbackup: flags.auditLogMaxbackup,
  };
  const words = Object.entries(values).flatMap(([field, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [flagOf(field)] : [flagOf(field), String(value)];
  });
  return [...words, ...flags.tlsSan.flatMap((name) => ["--tls-san", name])];
}
