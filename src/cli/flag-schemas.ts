import { isIP, isIPv4 } from "node:net";
import { z } from "zod";
import { parseGoDuration } from "../apimachinery/index.ts";
import { parseJoinToken } from "./join-token.ts";
import { isNodeName, NODE_NAME_RULE } from "./node-name.ts";
import { UsageError } from "./usage-error.ts";

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

const MAX_PORT = 65_535;
const MAX_SECONDS = 2 ** 31 - 1;
/** A node has a /20 of addresses, less its first and its last. */
const MOST_PODS_A_NODE = 4094;
const MIN_CERTIFICATE_MS = 10_000;
const MAX_CERTIFICATE_MS = 10 * 365 * 24 * 60 * 60 * 1000;
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
const SECRET_FLAGS: ReadonlySet<string> = new Set(["token"]);

export const INGRESS_HTTPS_PORT_HELP =
  "Ingress's port for TLS; 0 picks a free one (8443, or free if taken)";

export const DNS_PORT_HELP =
  "port of the cluster's DNS; 0 picks a free one (53, or free where that is not allowed)";
export const CONTAINER_RUNTIME_HELP =
  "what runs containers: own (a containerd that is installed), unix:///PATH of a CRI, or none";
export const CLUSTER_DOMAIN_HELP = "the end of the cluster's names (cluster.local)";

export const directory = z.string().min(1).describe("a directory");

export const file = z.string().min(1).describe("a file");

export const port = z.coerce
  .string()
  .regex(/^\d{1,5}$/)
  .transform(Number)
  .refine((value) => value <= MAX_PORT)
  .describe("a port from 0 (any free one) to 65535");

export const address = z
  .string()
  .refine((text) => isIPv4(text))
  .describe("an IPv4 address such as 127.0.0.1 or 0.0.0.0");

/** Where others reach this machine; a wildcard would tell them nothing. */
export const reachableAddress = z
  .string()
  .refine((text) => isIPv4(text) && text !== "0.0.0.0")
  .describe("an IPv4 address of this machine such as 192.0.2.7");

export const reachableHost = z
  .string()
  .refine((text) => (isIP(text) === 0 ? isHostName(text) : isIPv4(text) && text !== "0.0.0.0"))
  .describe("a DNS name or an IPv4 address that the other servers reach, without a port");

export const cidr = z
  .string()
  .refine((text) => parseRange(text) !== undefined)
  .describe("an IPv4 range such as 127.42.0.0/16, its prefix from /8 to /24");

export const portRange = z
  .string()
  .transform((text) => {
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
    return { from: Number(match?.[1] ?? 0), to: Number(match?.[2] ?? 0) };
  })
  .refine((range) => range.from > 0 && range.from <= range.to && range.to <= MAX_PORT)
  .describe("two ports such as 30000-32767, the first not above the second");

export const domain = z
  .string()
  .refine(isHostName)
  .describe("a DNS domain in lower case such as cluster.local");

export const certificateName = z
  .string()
  .refine((text) => isIPv4(text) || text.includes(":") || /^[a-z0-9.*-]{1,253}$/i.test(text))
  .describe("a DNS name or an IP address");

export const nodeName = z.string().refine(isNodeName).describe(NODE_NAME_RULE);

export const logLevel = z
  .enum(LOG_LEVELS)
  .describe(`one of ${LOG_LEVELS.map((level) => `"${level}"`).join(", ")}`);

export const durationMs = z
  .string()
  .transform(parseGoDuration)
  .refine((ms) => Number.isFinite(ms) && ms > 0)
  .describe("a duration above 0 such as 40s, 5m or 24h");

/** Their dates are whole seconds; ten years is what the authority itself has. */
export const certificateLifetimeMs = z
  .string()
  .transform(parseGoDuration)
  .refine((ms) => ms >= MIN_CERTIFICATE_MS && ms <= MAX_CERTIFICATE_MS)
  .describe("a duration from 10s to 87600h such as 8760h");

export const seconds = z.coerce
  .string()
  .regex(/^\d{1,10}$/)
  .transform(Number)
  .refine((value) => value <= MAX_SECONDS)
  .describe(`a number of seconds from 0 to ${MAX_SECONDS}`);

/** What a node tells as its capacity for pods; the range of addresses of a node ends there too. */
export const maxPods = z.coerce
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number)
  .refine((value) => value >= 1 && value <= MOST_PODS_A_NODE)
  .describe(`a number of pods from 1 to ${MOST_PODS_A_NODE}`);

export const count = z.coerce
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number)
  .refine((value) => value >= 1)
  .describe("a number from 1 to 9999");

/** Gives the origin alone: "https://192.0.2.7:6443". */
export const serverUrl = z
  .string()
  .refine((text) => originOf(text)?.startsWith("https:") === true)
  .transform((text) => originOf(text) ?? text)
  .describe("the URL of a server such as https://192.0.2.7:6443");

export const joinToken = z
  .string()
  .refine((text) => parseJoinToken(text) !== undefined)
  .describe("what `kubun token create` printed on a server of the cluster");

/** Where a container runtime answers, or that one is to be started, or that there is to be none. */
export const containerRuntime = z
  .string()
  .refine((text) => text === "own" || text === "none" || /^unix:\/\/\/.+/.test(text))
  .describe("a socket such as unix:///run/containerd/containerd.sock, own or none");

/** Says the same as the flag, where that is not given. */
export const CONTAINER_RUNTIME_VARIABLE = "KUBUN_CONTAINER_RUNTIME_ENDPOINT";

export const endpoints = z
  .string()
  .transform((text) => text.split(",").map((part) => originOf(part.trim()) ?? ""))
  .refine((origins) => origins.every((origin) => origin !== ""))
  .refine((origins) => new Set(origins.map((origin) => origin.split(":")[0])).size === 1)
  .describe(
    "one or more URLs of an etcd cluster, separated by commas, " +
      "all http or all https, such as https://192.0.2.7:2379",
  );

/** A URL without path, query or user as its origin; anything else as undefined. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.pathname === "/" && url.search === "" && url.hash === "";
  const known = url.protocol === "https:" || url.protocol === "http:";
  return bare && known && url.username === "" && url.password === "" ? url.origin : undefined;
}

function isHostName(text: string): boolean {
  return DNS_NAME.test(text.toLowerCase()) && !/^[\d.]+$/.test(text);
}

/** Schemas by the flag's name in camel case. Throws a UsageError that names flag and value. */
export function parseFlags<Shape extends z.ZodRawShape>(
  shape: Shape,
  given: Readonly<Record<string, unknown>>,
): z.infer<z.ZodObject<Shape>> {
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const field = String(parsed.error.issues[0]?.path[0] ?? "");
  const allowed = Object.entries(shape).find(([key]) => key === field)?.[1] as
    | z.ZodType
    | undefined;
  const description = allowed === undefined ? undefined : describeSchema(allowed);
  const value = SECRET_FLAGS.has(field) ? "as it was given" : JSON.stringify(given[field]);
  throw new UsageError(
    `${flagOf(field)} ${value} is not allowed: give ${description ?? "another"}`,
  );
}

/** What the environment says in the place of flags that are not given. */
export function withVariables(
  given: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, unknown>> {
  const runtime = environment[CONTAINER_RUNTIME_VARIABLE];
  return runtime === undefined || runtime === ""
    ? given
    : { containerRuntimeEndpoint: runtime, ...withoutUndefined(given) };
}

/** "httpsPort" → "--https-port". */
export function flagOf(field: string): string {
  return `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function describeSchema(schema: z.ZodType): string | undefined {
  if (schema.description !== undefined) return schema.description;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return describeSchema(schema.unwrap() as z.ZodType);
  }
  if (schema instanceof z.ZodArray) return describeSchema(schema.element as z.ZodType);
  return undefined;
}

/** What was not given is left out, so that the type's optional fields are truly absent. */
export type Given<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

export function withoutUndefined<T extends object>(flags: T): Given<T> {
  return Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  ) as Given<T>;
}

interface Range {
  readonly base: number;
  readonly bits: number;
}

const MIN_PREFIX = 8;
const MAX_PREFIX = 24;

function parseRange(text: string): Range | undefined {
  const [host, bitsText] = text.split("/");
  if (host === undefined || !isIPv4(host) || !/^\d{1,2}$/.test(bitsText ?? "")) return undefined;
  const bits = Number(bitsText);
  const base = host.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  if (bits < MIN_PREFIX || bits > MAX_PREFIX || base % 2 ** (32 - bits) !== 0) return undefined;
  return { base, bits };
}

/** Whether two ranges share an address. */
export function rangesOverlap(one: string, other: string): boolean {
  const [a, b] = [parseRange(one), parseRange(other)];
  if (a === undefined || b === undefined) return false;
  const size = 2 ** (32 - Math.min(a.bits, b.bits));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}
