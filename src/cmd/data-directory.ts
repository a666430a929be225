import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CommandError } from "../cli/index.ts";
import { writeFileAtomically } from "../os/index.ts";

/** Where everything of one cluster lives; every path below is absolute. */
export interface DataDirectory {
  readonly path: string;
  readonly kubeconfig: string;
  /** What later starts must find again: ports and address ranges. */
  readonly settings: string;
  /** The running server's pid and ports; there only while it runs, or after it was killed. */
  readonly serverRecord: string;
  readonly serverLog: string;
  readonly tls: string;
  readonly store: string;
  /** Copies of the state on their way elsewhere. */
  readonly snapshots: string;
  readonly images: string;
  readonly kubelet: string;
  readonly runtime: string;
  /** What a containerd of our own keeps; there with the first container. */
  readonly containers: string;
  readonly podLogs: string;
  /** Bundles of what worker processes run, made once a version. */
  readonly workerCode: string;
  /** A short path for Unix sockets, whose names hold 107 bytes at most. */
  readonly sockets: string;
  /** For tokens of pods: in memory where the machine offers that, else below {@link kubelet}. */
  readonly memory: string;
}

const SOCKET_DIRECTORY_HASH_LENGTH = 10;
const SHARED_MEMORY = "/dev/shm";
/** TMPFS_MAGIC of linux/magic.h. */
const TMPFS = 0x01021994;
const MIN_SHARED_BYTES = 256 * 1024 * 1024;

export function defaultDataDirectory(): string {
  return process.env["KUBUN_DATA_DIR"] ?? join(homedir(), ".kubun");
}

/** Names the parts of a data directory without touching the disk. */
export function locateDataDirectory(given: string): DataDirectory {
  const path = existsSync(given) ? realpathSync(given) : resolve(given);
  return {
    path,
    kubeconfig: join(path, "kubeconfig.yaml"),
    settings: join(path, "settings.json"),
    serverRecord: join(path, "server.json"),
    serverLog: join(path, "server.log"),
    tls: join(path, "tls"),
    store: join(path, "store"),
    snapshots: join(path, "snapshots"),
    images: join(path, "images"),
    kubelet: join(path, "kubelet"),
    runtime: join(path, "runtime"),
    containers: join(path, "containers"),
    podLogs: join(path, "pod-logs"),
    workerCode: join(path, "worker-code"),
    sockets: socketDirectory(path),
    memory: memoryDirectory(path),
  };
}

/**
 * Makes the directory and its parts, closed to other users. Throws CommandError when another user
 * has taken the place of the sockets, which may be in a directory that everybody writes to.
 */
export function createDataDirectory(given: string): DataDirectory {
  mkdirSync(given, { recursive: true, mode: 0o700 });
  const directory = locateDataDirectory(given);
  chmodSync(directory.path, 0o700);
  const parts = [
    directory.tls,
    directory.store,
    directory.images,
    directory.kubelet,
    directory.runtime,
    directory.podLogs,
    directory.sockets,
  ];
  for (const part of parts) mkdirSync(part, { recursive: true, mode: 0o700 });
  assertOwn(dirname(directory.sockets));
  chmodSync(directory.sockets, 0o700);
  return directory;
}

/** Whoever owns the folder above could put sockets of his own in the place of ours. */
function assertOwn(path: string): void {
  const found = lstatSync(path);
  if (found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid)) return;
  throw new CommandError(
    `${path} is not a directory of this user: ` +
      "set XDG_RUNTIME_DIR to one that nobody else writes to",
  );
}

/** All that a cluster keeps, its folder of sockets included: what its deletion removes. */
export function partsOf(directory: DataDirectory): readonly string[] {
  return Object.values(directory).filter((part) => part !== directory.path);
}

/**
 * Files in memory are never on a disk, and cost a hundredth of what they cost there: each pod that
 * starts has some. A small one, as containers are given, is left for those who ask for it.
 */
function memoryDirectory(path: string): string {
  const user = process.getuid?.() ?? 0;
  const parent = join(SHARED_MEMORY, `kubun-${user}`);
  const isOurs = !existsSync(parent) || lstatSync(parent).uid === user;
  return isOurs && hasRoom(SHARED_MEMORY)
    ? join(parent, hashOf(path))
    : join(path, "kubelet", "memory");
}

function hasRoom(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    const { type, bsize, blocks } = statfsSync(path);
    return type === TMPFS && bsize * blocks >= MIN_SHARED_BYTES;
  } catch {
    return false; // There is none on this machine.
  }
}

function hashOf(path: string): string {
  const hash = createHash("sha256").update(path).digest("hex");
  return hash.slice(0, SOCKET_DIRECTORY_HASH_LENGTH);
}

function socketDirectory(path: string): string {
  const base = process.env["XDG_RUNTIME_DIR"];
  const usable = base !== undefined && existsSync(base) ? base : tmpdir();
  const user = process.getuid?.() ?? 0;
  return join(usable, `kubun-${user}`, hashOf(path));
}

const portSchema = z.int().min(1).max(65_535);

const settingsSchema = z.object({
  httpsPort: portSchema.optional(),
  httpPort: portSchema.optional(),
  ingressHttpsPort: portSchema.optional(),
  dnsPort: portSchema.optional(),
  /** Where the cluster's other machines are answered. */
  peerPort: portSchema.optional(),
  nodeName: z.string().optional(),
  /** Other servers have joined: the ranges are theirs too, and never change again. */
  shared: z.boolean().optional(),
  /** The id of the cluster that `--cluster-reset` made. */
  resetTo: z.string().optional(),
  clusterCidr: z.string().optional(),
  serviceCidr: z.string().optional(),
});

/** Choices made at the first start and kept, so that a kubeconfig stays good. */
export type Settings = z.infer<typeof settingsSchema>;

export function readSettings(directory: DataDirectory): Settings {
  if (!existsSync(directory.settings)) return {};
  return parseFile(directory.settings, settingsSchema);
}

export function writeSettings(directory: DataDirectory, settings: Settings): void {
  const text = JSON.stringify(settings);
  if (existsSync(directory.settings) && readFileSync(directory.settings, "utf8") === text) return;
  writeFileAtomically(directory.settings, text, { mode: 0o600 });
}

const serverRecordSchema = z.object({
  pid: z.int().positive(),
  /** Field 22 of /proc/PID/stat: a pid alone may by now be somebody else's. */
  startTime: z.string(),
  version: z.string(),
  server: z.string(),
  ingress: z.string(),
  /** Absent in what older versions wrote. */
  ingressHttps: z.string().optional(),
  dns: z.string().optional(),
  startedAt: z.string(),
});

export type ServerRecord = z.infer<typeof serverRecordSchema>;

export function readServerRecord(directory: DataDirectory): ServerRecord | undefined {
  if (!existsSync(directory.serverRecord)) return undefined;
  return parseFile(directory.serverRecord, serverRecordSchema);
}

export function writeServerRecord(directory: DataDirectory, record: ServerRecord): void {
  writeFileAtomically(directory.serverRecord, JSON.stringify(record), { mode: 0o600 });
}

function parseFile<T>(path: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path} is not JSON: ${String(error)}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Error(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
