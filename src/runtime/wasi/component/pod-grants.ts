import { RuntimeError } from "../../runtime.ts";

/** Annotations of a pod that grant its components what a PodSpec has no field for. */
export const ALLOWED_HOSTS_ANNOTATION = "kubun.dev/allowed-outgoing-hosts";
export const KEYVALUE_STORES_ANNOTATION = "kubun.dev/keyvalue-stores";
export const SQLITE_DATABASES_ANNOTATION = "kubun.dev/sqlite-databases";
export const BLOB_CONTAINERS_ANNOTATION = "kubun.dev/blob-containers";
export const INSTANCES_ANNOTATION = "kubun.dev/instances";
export const REQUEST_TIMEOUT_ANNOTATION = "kubun.dev/request-timeout";
export const ACCESS_LOG_ANNOTATION = "kubun.dev/access-log";
/** Its containers may run in one process with others of their namespace and ServiceAccount. */
export const SHARE_WORKER_ANNOTATION = "kubun.dev/share-worker";
export const INSTANCE_REUSE_ANNOTATION = "kubun.dev/instance-reuse";
/** Of modules too: bytes a second that each container may log, see limits/log-rate-setting.ts. */
export const LOG_RATE_ANNOTATION = "kubun.dev/log-rate";

export const OUTGOING_SCHEMES = ["http", "https", "tcp", "udp"] as const;
export type OutgoingScheme = (typeof OUTGOING_SCHEMES)[number];

/** One entry of {@link ALLOWED_HOSTS_ANNOTATION}: what a guest may reach. */
export interface AllowedHost {
  /** `"*"`: any scheme, any host, any port. */
  readonly scheme: OutgoingScheme | "*";
  /** Lower case; `*` for any, `*.example.com` for the names below; IPv6 without brackets. */
  readonly host: string;
  readonly port: number | "*";
}

/** A name that guests know, and what of their volumes it stands for. */
export interface VolumeGrant {
  readonly name: string;
  /** As the guest sees it, such as `/data/app.db`: absolute, without `..`. */
  readonly path: string;
}

/** What a pod may do beyond its own files and sockets; nothing by default. */
export interface PodGrants {
  readonly allowedHosts: readonly AllowedHost[];
  /** Names of the stores that wasi:keyvalue may open. */
  readonly keyvalueStores: readonly string[];
  /** Databases that Spin's sqlite may open, each a file in a volume. */
  readonly sqliteDatabases: readonly VolumeGrant[];
  /** Containers of wasi:blobstore, each a directory in a volume. */
  readonly blobContainers: readonly VolumeGrant[];
}

/** How a pod's components run, as its annotations say. */
export interface ComponentSettings {
  readonly grants: PodGrants;
  /** Instances of a component that one container may have at once. */
  readonly instances: number;
  readonly requestTimeoutMs: number;
  readonly accessLog: boolean;
  /** Every request gets an instance of its own. */
  readonly freshInstances: boolean;
}

export const NO_GRANTS: PodGrants = {
  allowedHosts: [],
  keyvalueStores: [],
  sqliteDatabases: [],
  blobContainers: [],
};
export const DEFAULT_INSTANCES = 64;
export const MAX_INSTANCES = 1024;
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
export const MAX_REQUEST_TIMEOUT_MS = 24 * 3_600_000;
export const MAX_ALLOWED_HOSTS = 256;
export const MAX_KEYVALUE_STORES = 64;
/** Entries of one annotation that names parts of volumes. */
export const MAX_VOLUME_GRANTS = 64;

const DEFAULT_PORTS: Readonly<Record<OutgoingScheme, number | undefined>> = {
  http: 80,
  https: 443,
  tcp: undefined,
  udp: undefined,
};
const MAX_PORT = 65_535;
const ENTRY = /^([a-z]+):\/\/(\[[0-9a-f:.]+\]|[^:/[\]@?#]+)(?::(\d{1,5}|\*))?\/?$/;
const HOST_NAME =
  /^(\*|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*)$/;
const STORE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const VOLUME_NAME = /^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$/i;
const VOLUME_PATH = /^(\/[^/\0]+)+$/;
const MAX_VOLUME_PATH_LENGTH = 1024;
const MAX_HOST_LENGTH = 253;
const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Reads a pod's annotations. Throws `invalid-config` that names the annotation, its value and what
 * is allowed.
 */
export function componentSettings(
  annotations: Readonly<Record<string, string>> = {},
): ComponentSettings {
  return {
    grants: {
      allowedHosts: entriesOf(annotations, ALLOWED_HOSTS_ANNOTATION, MAX_ALLOWED_HOSTS).map(
        parseAllowedHost,
      ),
      keyvalueStores: entriesOf(annotations, KEYVALUE_STORES_ANNOTATION, MAX_KEYVALUE_STORES).map(
        parseStore,
      ),
      sqliteDatabases: volumeGrantsOf(annotations, SQLITE_DATABASES_ANNOTATION),
      blobContainers: volumeGrantsOf(annotations, BLOB_CONTAINERS_ANNOTATION),
    },
    instances: instancesOf(annotations[INSTANCES_ANNOTATION]),
    requestTimeoutMs: requestTimeoutOf(annotations[REQUEST_TIMEOUT_ANNOTATION]),
    accessLog: truthOf(annotations, ACCESS_LOG_ANNOTATION) ?? false,
    freshInstances: truthOf(annotations, INSTANCE_REUSE_ANNOTATION) === false,
  };
}

/**
 * Whether a guest may reach `host` at `port`. A name is compared as the guest wrote it: `db` does
 * not grant `db.default.svc.cluster.local`, nor the other way round. The case of letters and a
 * final dot do not count.
 */
export function isAllowed(
  allowed: readonly AllowedHost[],
  scheme: OutgoingScheme,
  host: string,
  port: number,
): boolean {
  const name = normalHost(host);
  return allowed.some(
    (entry) =>
      (entry.scheme === "*" || entry.scheme === scheme) &&
      (entry.port === "*" || entry.port === port) &&
      hostMatches(entry.host, name),
  );
}

/** An entry as the annotation has it: what to add there, for a message. */
export function formatAllowedHost(scheme: OutgoingScheme, host: string, port: number): string {
  const name = normalHost(host);
  const written = name.includes(":") ? `[${name}]` : name;
  return `${scheme}://${written}${port === DEFAULT_PORTS[scheme] ? "" : `:${port}`}`;
}

function hostMatches(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  if (!pattern.startsWith("*.")) return pattern === name;
  const ending = pattern.slice(1);
  return name.length > ending.length && name.endsWith(ending);
}

function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}

function parseAllowedHost(entry: string): AllowedHost {
  if (entry === "*") return { scheme: "*", host: "*", port: "*" };
  const [, scheme = "", written = "", port] = ENTRY.exec(entry.toLowerCase()) ?? [];
  const known = OUTGOING_SCHEMES.find((one) => one === scheme);
  if (known === undefined) {
    const form = "* or scheme://host[:port] with the scheme http, https, tcp or udp";
    throw refused(ALLOWED_HOSTS_ANNOTATION, entry, `want ${form}`);
  }
  const host = normalHost(written);
  const named = HOST_NAME.test(host) && host.length <= MAX_HOST_LENGTH;
  if (!named && !written.startsWith("[")) {
    const form = "a name, an address, * or a name that begins with *.";
    throw refused(ALLOWED_HOSTS_ANNOTATION, entry, `the host must be ${form}`);
  }
  return { scheme: known, host, port: portOf(port, known, entry) };
}

function portOf(text: string | undefined, scheme: OutgoingScheme, entry: string): number | "*" {
  if (text === "*") return "*";
  const port = text === undefined ? DEFAULT_PORTS[scheme] : Number(text);
  if (port === undefined) {
    throw refused(ALLOWED_HOSTS_ANNOTATION, entry, `${scheme} needs a port, :* for any`);
  }
  if (port < 1 || port > MAX_PORT) {
    throw refused(ALLOWED_HOSTS_ANNOTATION, entry, `the port must be 1…${MAX_PORT} or *`);
  }
  return port;
}

function parseStore(name: string): string {
  if (STORE_NAME.test(name)) return name;
  const form = "lower case letters, digits and -, at most 63";
  throw refused(KEYVALUE_STORES_ANNOTATION, name, `a store's name has ${form}`);
}

function instancesOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_INSTANCES;
  const count = /^\d{1,4}$/.test(text.trim()) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_INSTANCES) return count;
  throw refused(INSTANCES_ANNOTATION, text, `want a number, 1…${MAX_INSTANCES}`);
}

/** Throws `invalid-config`. */
export function requestTimeoutOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_REQUEST_TIMEOUT_MS;
  const timeoutMs = durationMs(text.trim());
  if (timeoutMs !== undefined && timeoutMs >= 1 && timeoutMs <= MAX_REQUEST_TIMEOUT_MS) {
    return timeoutMs;
  }
  throw refused(REQUEST_TIMEOUT_ANNOTATION, text, 'want a duration of 1ms…24h such as "30s"');
}

/** A Go duration in whole milliseconds, `1m30s`; `undefined` for what is none. */
function durationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    sum += Number(amount) * (DURATION_UNITS_MS[unit] ?? 0);
  }
  return Math.round(sum);
}

/** Throws `invalid-config`. */
export function truthOf(
  annotations: Readonly<Record<string, string>>,
  annotation: string,
): boolean | undefined {
  const text = annotations[annotation];
  if (text === undefined) return undefined;
  if (text === "true" || text === "false") return text === "true";
  throw refused(annotation, text, 'want "true" or "false"');
}

/** `default=/data/app.db, audit=/data/audit.db`. */
function volumeGrantsOf(
  annotations: Readonly<Record<string, string>>,
  annotation: string,
): VolumeGrant[] {
  const grants = entriesOf(annotations, annotation, MAX_VOLUME_GRANTS).map((entry) => {
    const [, name = "", path = ""] = /^([^=]*)=(.*)$/s.exec(entry) ?? [];
    const named = VOLUME_NAME.test(name) && path.length <= MAX_VOLUME_PATH_LENGTH;
    const dotted = path.split("/").some((part) => part === "." || part === "..");
    if (named && VOLUME_PATH.test(path) && !dotted) return { name, path };
    const form = "name=/path of a mounted volume, without . and .., such as default=/data/app.db";
    throw refused(annotation, entry, `want ${form}`);
  });
  const twice = grants.find(({ name }, index) => grants.findIndex((g) => g.name === name) < index);
  if (twice === undefined) return grants;
  throw refused(annotation, twice.name, "each name may be given once");
}

function entriesOf(
  annotations: Readonly<Record<string, string>>,
  annotation: string,
  limit: number,
): string[] {
  const text = annotations[annotation] ?? "";
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  if (entries.length <= limit) return entries;
  throw refused(annotation, `${entries.length} entries`, `at most ${limit} are allowed`);
}

function refused(annotation: string, value: string, want: string): RuntimeError {
  return new RuntimeError(
    "invalid-config",
    `annotation ${annotation}: ${JSON.stringify(value)}: ${want}`,
  );
}
