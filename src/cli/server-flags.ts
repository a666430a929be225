import { isIPv4 } from "node:net";
import { z } from "zod";
import { UsageError } from "./usage-error.ts";

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** How a server is to run; what is undefined is chosen at the first start and then kept. */
export interface ServerFlags {
  readonly dataDir: string;
  /** 0 picks a free port. */
  readonly httpsPort?: number;
  /** Where Ingress listens; 0 picks a free port. */
  readonly httpPort?: number;
  readonly bindAddress: string;
  readonly advertiseAddress?: string;
  readonly tlsSan: readonly string[];
  readonly clusterCidr?: string;
  readonly serviceCidr?: string;
  readonly serviceNodePortRange: PortRange;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const MAX_PORT = 65_535;

const port = z.coerce
  .string()
  .regex(/^\d{1,5}$/)
  .transform(Number)
  .refine((value) => value <= MAX_PORT)
  .describe("a port from 0 (any free one) to 65535");

const address = z
  .string()
  .refine((text) => isIPv4(text))
  .describe("an IPv4 address such as 127.0.0.1 or 0.0.0.0");

const cidr = z
  .string()
  .refine(isRange)
  .describe("an IPv4 range such as 127.42.0.0/16, its prefix from /8 to /24");

const portRange = z
  .string()
  .transform((text) => {
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
    return { from: Number(match?.[1] ?? 0), to: Number(match?.[2] ?? 0) };
  })
  .refine((range) => range.from > 0 && range.from <= range.to && range.to <= MAX_PORT)
  .describe("two ports such as 30000-32767, the first not above the second");

const name = z
  .string()
  .refine((text) => isIPv4(text) || text.includes(":") || /^[a-z0-9.*-]{1,253}$/i.test(text))
  .describe("a DNS name or an IP address");

const schemas = {
  dataDir: z.string().min(1).describe("a directory"),
  httpsPort: port.optional(),
  httpPort: port.optional(),
  bindAddress: address,
  advertiseAddress: address.optional(),
  tlsSan: z.array(name),
  clusterCidr: cidr.optional(),
  serviceCidr: cidr.optional(),
  serviceNodePortRange: portRange,
  logLevel: z
    .enum(["debug", "info", "warn", "error"])
    .describe('one of "debug", "info", "warn", "error"'),
} satisfies Record<keyof ServerFlags, z.ZodType>;

const serverFlagsSchema = z.object(schemas);

/** Checks flags as the command line hands them over. Throws a UsageError that names the flag. */
export function parseServerFlags(given: Readonly<Record<string, unknown>>): ServerFlags {
  const parsed = serverFlagsSchema.safeParse(given);
  if (!parsed.success) throw new UsageError(describeIssue(parsed.error, given));
  const { clusterCidr, serviceCidr } = parsed.data;
  if (clusterCidr !== undefined && serviceCidr !== undefined && overlap(clusterCidr, serviceCidr)) {
    throw new UsageError(
      `--service-cidr ${serviceCidr} overlaps --cluster-cidr ${clusterCidr}: they must be apart`,
    );
  }
  return withoutUndefined(parsed.data);
}

function withoutUndefined(flags: z.infer<typeof serverFlagsSchema>): ServerFlags {
  const { httpsPort, httpPort, advertiseAddress, clusterCidr, serviceCidr, ...rest } = flags;
  return {
    ...rest,
    ...(httpsPort === undefined ? {} : { httpsPort }),
    ...(httpPort === undefined ? {} : { httpPort }),
    ...(advertiseAddress === undefined ? {} : { advertiseAddress }),
    ...(clusterCidr === undefined ? {} : { clusterCidr }),
    ...(serviceCidr === undefined ? {} : { serviceCidr }),
  };
}

function describeIssue(error: z.ZodError, given: Readonly<Record<string, unknown>>): string {
  const field = String(error.issues[0]?.path[0] ?? "");
  const flag = `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const allowed = Object.entries(schemas).find(([key]) => key === field)?.[1];
  const description = allowed === undefined ? undefined : describeSchema(allowed);
  return `${flag} ${JSON.stringify(given[field])} is not allowed: give ${description ?? "another"}`;
}

function describeSchema(schema: z.ZodType): string | undefined {
  if (schema.description !== undefined) return schema.description;
  if (schema instanceof z.ZodOptional) return describeSchema(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodArray) return describeSchema(schema.element as z.ZodType);
  return undefined;
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

function isRange(text: string): boolean {
  return parseRange(text) !== undefined;
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [parseRange(one), parseRange(other)];
  if (a === undefined || b === undefined) return false;
  const size = 2 ** (32 - Math.min(a.bits, b.bits));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}
