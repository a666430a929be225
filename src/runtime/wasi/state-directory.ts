import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type {
  ContainerConfig,
  ContainerState,
  ExitReason,
  PodNetwork,
  PodSandbox,
} from "../runtime.ts";
import { PreparedModules } from "./prepared-modules.ts";
import { readSmallFile, type WorkerAddress, type WorkerPlaces } from "./worker-process.ts";

export interface SandboxRecord extends PodSandbox {
  /** Counts up with every sandbox of this node: names its socket directory. */
  readonly socketName: string;
  /** Those of Kubun's own, `kubun.dev/…`. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly serviceAccount?: string;
  /** The network of another runtime that its workers are in. */
  readonly joins?: PodNetwork;
  /** One of its containers kept a shared process from running: they share none any more. */
  readonly blockedOthers?: true;
}

/** What is known of a container, as it stands in its state.json. */
export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly podUid: string;
  readonly config: ContainerConfig;
  readonly imageRef: string;
  readonly modulePath: string;
  /** Set for a component: where its translation is. */
  readonly componentDirectory?: string;
  /** argv of the guest, image and configuration combined. */
  readonly argv: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  readonly state: ContainerState;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly exitCode?: number;
  readonly reason?: ExitReason;
  readonly message?: string;
  readonly warnings?: readonly string[];
  /** Set from the moment a worker was chosen. */
  readonly worker?: WorkerAddress;
}

/** Addresses given out between two saves of the cursor; a restart skips what is left of them. */
const ADDRESSES_A_SAVE = 16;
/** What file systems give a file at a time. */
const BLOCK_BYTES = 4096;

/**
 * The runtime's memory on disk: `sandboxes/<id>/state.json`, `containers/<id>/state.json`,
 * `workers/<id>/`, `components/<sha256>/`, `modules/`. Files are written as a whole; they need no
 * fsync, because after a power cut no worker is left that they could describe.
 */
export class StateDirectory implements WorkerPlaces {
  readonly workersDirectory: string;
  readonly controlDirectory: string;
  /** Translations of components, one directory an image. */
  readonly componentsDirectory: string;
  /** Modules as they are compiled. */
  readonly preparedModules: PreparedModules;
  readonly #root: string;
  readonly #socketRoot: string;
  #savedCursor: number | undefined;

  constructor(options: { stateDirectory: string; socketDirectory: string }) {
    this.#root = options.stateDirectory;
    this.#socketRoot = options.socketDirectory;
    this.workersDirectory = join(this.#root, "workers");
    this.controlDirectory = join(this.#socketRoot, "w");
    this.componentsDirectory = join(this.#root, "components");
    this.preparedModules = new PreparedModules(join(this.#root, "modules"));
    for (const directory of [
      join(this.#root, "sandboxes"),
      join(this.#root, "containers"),
      this.componentsDirectory,
      this.workersDirectory,
      this.controlDirectory,
      join(this.#socketRoot, "p"),
    ]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    }
  }

  /** Where a container's worker leaves its result. */
  resultPath(containerId: string): string {
    return join(this.#root, "containers", containerId, "result.json");
  }

  /** The sockets of one pod's ports. */
  portDirectory(sandbox: SandboxRecord): string {
    return join(this.#socketRoot, "p", sandbox.socketName);
  }

  portPath(sandbox: SandboxRecord, port: number): string {
    return join(this.portDirectory(sandbox), `${port}`);
  }

  /** The socket of a pod's way out. */
  egressPath(sandbox: SandboxRecord): string {
    return join(this.portDirectory(sandbox), "egress");
  }

  /** The socket of a pod's way to key-value stores. */
  keyvaluePath(sandbox: SandboxRecord): string {
    return join(this.portDirectory(sandbox), "keyvalue");
  }

  saveSandbox(record: SandboxRecord): void {
    this.#save("sandboxes", record);
    mkdirSync(this.portDirectory(record), { recursive: true, mode: 0o700 });
  }

  saveContainer(record: ContainerRecord): void {
    this.#save("containers", record);
  }

  removeSandbox(record: SandboxRecord): void {
    rmSync(this.portDirectory(record), { recursive: true, force: true });
    rmSync(join(this.#root, "sandboxes", record.id), { recursive: true, force: true });
  }

  removeContainer(containerId: string): void {
    rmSync(join(this.#root, "containers", containerId), { recursive: true, force: true });
  }

  loadSandboxes(): SandboxRecord[] {
    return this.#load<SandboxRecord>("sandboxes");
  }

  loadContainers(): ContainerRecord[] {
    return this.#load<ContainerRecord>("containers");
  }

  workerIds(): string[] {
    return readdirSync(this.workersDirectory);
  }

  /** Removes sockets and port directories that belong to nothing known. */
  sweepSockets(known: { workers: ReadonlySet<string>; sockets: ReadonlySet<string> }): void {
    for (const name of readdirSync(this.controlDirectory)) {
      if (known.workers.has(name.replace(/\.sock$/, ""))) continue;
      rmSync(join(this.controlDirectory, name), { force: true });
    }
    for (const name of readdirSync(join(this.#socketRoot, "p"))) {
      if (known.sockets.has(name)) continue;
      rmSync(join(this.#socketRoot, "p", name), { recursive: true, force: true });
    }
  }

  get addressCursor(): number {
    const text = readSmallFile(join(this.#root, "address-cursor")).trim();
    return /^\d+$/.test(text) ? Number(text) : 0;
  }

  /** What is written is some addresses ahead, so that most of them cost no file. */
  saveAddressCursor(cursor: number): void {
    const ahead = (Math.floor(cursor / ADDRESSES_A_SAVE) + 1) * ADDRESSES_A_SAVE;
    if (ahead === this.#savedCursor) return;
    this.#savedCursor = ahead;
    replaceFile(join(this.#root, "address-cursor"), `${ahead}\n`);
  }

  #save(kind: "sandboxes" | "containers", record: { readonly id: string }): void {
    const directory = join(this.#root, kind, record.id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    saveRecord(join(directory, "state.json"), JSON.stringify(record));
  }

  /** Directories without a readable state were being made or removed when the server ended. */
  #load<T extends { readonly id: string }>(kind: "sandboxes" | "containers"): T[] {
    return readdirSync(join(this.#root, kind)).flatMap((id) => {
      const record = parseRecord<T>(readSmallFile(join(this.#root, kind, id, "state.json")));
      if (record?.id === id) return [record];
      rmSync(join(this.#root, kind, id), { recursive: true, force: true });
      return [];
    });
  }
}

function parseRecord<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined; // A cut file; the caller removes its directory.
  }
}

/**
 * Writes over what is there, by one call: a server that is killed wrote all or nothing. Spaces
 * fill the file's blocks, so that neither the end of a longer record stays nor a full disk refuses
 * what follows; what needs other blocks is a new file. Renaming one each time took three times as
 * long, and longer the more files had been removed lately.
 */
function saveRecord(path: string, content: string): void {
  const bytes = Buffer.from(content);
  const blocks = Buffer.alloc(Math.ceil(bytes.length / BLOCK_BYTES) * BLOCK_BYTES, " ");
  bytes.copy(blocks);
  if (!existsSync(path)) return writeFileSync(path, blocks, { mode: 0o600 });
  const file = openSync(path, "r+");
  try {
    if (fstatSync(file).size === blocks.length) return void writeSync(file, blocks, 0, null, 0);
  } finally {
    closeSync(file);
  }
  replaceFile(path, blocks);
}

function replaceFile(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.tmp`, content, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
