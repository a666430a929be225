import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { createDisk, writeFileAtomically } from "../os/index.ts";
import type { KeyPair } from "../os/index.ts";
import type { MemberId } from "../store/index.ts";
import type { DataDirectory } from "./data-directory.ts";
import { joinAgentAnswerSchema, joinServerAnswerSchema } from "./join-wire.ts";

const PRIVATE_MODE = 0o600;

/** What is asked again word for word when the first answer never arrived. */
const askingShape = {
  version: z.literal(1),
  /** The server that was asked, "https://HOST:PORT". */
  server: z.string(),
  name: z.string(),
  nodeSecret: z.string(),
  /** PKCS #8, PEM: of this machine's identity among the others. */
  privateKey: z.string(),
};
const locationSchema = z.object({ host: z.string().optional(), port: z.number() });
const serverShape = {
  ...askingShape,
  role: z.literal("server"),
  memberId: z.number(),
  witness: z.boolean(),
  peer: locationSchema,
  api: locationSchema.optional(),
};
const agentShape = { ...askingShape, role: z.literal("agent") };

const recordSchema = z.union([
  z.object({
    ...serverShape,
    phase: z.literal("joined"),
    ca: z.string(),
    answer: joinServerAnswerSchema.omit({ secrets: true }),
  }),
  z.object({
    ...agentShape,
    phase: z.literal("joined"),
    ca: z.string(),
    answer: joinAgentAnswerSchema,
  }),
  z.object({ ...serverShape, phase: z.literal("asking") }),
  z.object({ ...agentShape, phase: z.literal("asking") }),
]);

/**
 * How far this directory has come with joining. `asking` is written before the first request,
 * `joined` after everything else that an answer brought: so that at any moment either the same
 * question is asked again, or all of the answer is there.
 */
export type JoinRecord = z.infer<typeof recordSchema>;
export type JoinedRecord = Extract<JoinRecord, { phase: "joined" }>;
export type AskingRecord = Extract<JoinRecord, { phase: "asking" }>;

function pathOf(directory: DataDirectory): string {
  return join(directory.tls, "join.json");
}

/** Undefined in a directory that never joined anything. */
export function readJoinRecord(directory: DataDirectory): JoinRecord | undefined {
  const path = pathOf(directory);
  if (!existsSync(path)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    // Not quoted: the file holds keys.
    throw new Error(`${path} is not JSON: it was not written by Kubun, or is damaged`);
  }
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`${path} was written by another version of Kubun, or is damaged`);
}

export async function writeJoinRecord(directory: DataDirectory, record: JoinRecord): Promise<void> {
  // What the record says is there must be there after a power cut too.
  await createDisk().syncDirectory(directory.tls);
  writeFileAtomically(pathOf(directory), JSON.stringify(record), { mode: PRIVATE_MODE });
  await createDisk().syncDirectory(directory.tls);
}

/** Another identity of this machine among the others: the record is what later starts go by. */
export async function keepRenewed(directory: DataDirectory, peer: KeyPair): Promise<void> {
  const record = readJoinRecord(directory);
  if (record?.phase !== "joined") throw new Error(`${pathOf(directory)} is gone`);
  const { privateKey, certificate } = peer;
  // Narrowed one by one: an answer belongs to its role.
  const renewed: JoinRecord =
    record.role === "agent"
      ? { ...record, privateKey, answer: { ...record.answer, certificate } }
      : { ...record, privateKey, answer: { ...record.answer, certificate } };
  await writeJoinRecord(directory, renewed);
  writeKeys(directory, { ca: record.ca, peer });
}

/** The server goes on as if it had founded the cluster: it has the keys for that. */
export function removeJoinRecord(directory: DataDirectory): void {
  rmSync(pathOf(directory), { force: true });
}

/** Where a server said that it would listen, so that it does when it goes on joining. */
export function portsOf(record: JoinRecord | undefined): { peerPort?: number; httpsPort?: number } {
  if (record === undefined || record.role !== "server") return {};
  const { peer, api } = record;
  return { peerPort: peer.port, ...(api === undefined ? {} : { httpsPort: api.port }) };
}

/** The files of keys that a founder makes for itself, and a joined server is given. */
export function writeKeys(
  directory: DataDirectory,
  keys: { ca: string; caPrivateKey?: string; adminToken?: string; peer: KeyPair },
): void {
  const write = (name: string, text: string): void =>
    writeFileAtomically(join(directory.tls, name), text, { mode: PRIVATE_MODE });
  // Keys first: a certificate without its key would look complete after a crash in between.
  if (keys.caPrivateKey !== undefined) write("ca.key", keys.caPrivateKey);
  if (keys.adminToken !== undefined) write("admin.token", `${keys.adminToken}\n`);
  write("peer.key", keys.peer.privateKey);
  write("peer.crt", keys.peer.certificate);
  write("ca.crt", keys.ca);
}

/** Whether this directory founded a cluster, or was given its keys. */
export function hasAuthority(directory: DataDirectory): boolean {
  return existsSync(join(directory.tls, "ca.crt"));
}

/** The administrator's token, "" where there is none (a witness, an agent). */
export function readAdminToken(directory: DataDirectory): string {
  const path = join(directory.tls, "admin.token");
  return existsSync(path) ? readFileSync(path, "utf8").trim() : "";
}

export function readCaPrivateKey(directory: DataDirectory): string | undefined {
  const path = join(directory.tls, "ca.key");
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/**
 * Who a founder is when its state is elsewhere (`--datastore-endpoint`), as decided at the first
 * start: a store of its own would keep it. On disk before anybody else hears of it.
 */
export function keepIdentity(directory: DataDirectory, fresh: ExternalIdentity): ExternalIdentity {
  const keep = (name: string, value: string): string => {
    const path = join(directory.tls, name);
    if (existsSync(path)) return readFileSync(path, "utf8").trim();
    writeFileAtomically(path, `${value}\n`, { mode: PRIVATE_MODE });
    return value;
  };
  const memberId = Number(keep("member-id", String(fresh.memberId))) as MemberId;
  return { clusterId: keep("cluster-id", fresh.clusterId), memberId };
}

export interface ExternalIdentity {
  readonly clusterId: string;
  readonly memberId: MemberId;
}
