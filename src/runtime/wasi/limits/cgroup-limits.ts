import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, type Logger, sleep } from "../../../lib/index.ts";
import type { ProcessIdentity } from "../../process-spawner.ts";
import type { CpuThrottling } from "../../runtime.ts";
import {
  CGROUP_CONTROLLERS,
  type CgroupController,
  type CgroupFile,
  processFiles,
  shareFile,
} from "./cgroup-files.ts";
import type { CgroupHierarchies } from "./cgroup-hierarchies.ts";
import type { ProcessGroup, ProcessLimits } from "./process-limits.ts";

/** What all nodes of a machine have in common: `kubun/<node>/<QoS>/pod<uid>/<container>`. */
export const CGROUP_PARENT = "kubun";
/** A sweep of another node may remove a directory between its making and its first process. */
const MAX_PLACE_ATTEMPTS = 3;
/** A process that was just killed may still be counted: so often its cgroup is tried again. */
const MAX_REMOVE_ATTEMPTS = 10;

/** The cgroup of a pod, above those of its containers. */
interface Pod {
  readonly requestMillis: number;
  readonly groups: Set<string>;
}

/** The cgroup of a QoS class, above those of its pods. */
interface PodClass {
  /** What its pods ask for together. */
  requestMillis: number;
  /** The same as it was written last. */
  written: number | undefined;
}

export interface CgroupLimitsOptions {
  readonly hierarchies: CgroupHierarchies;
  /** Names this node among those of the machine; the same after a restart. */
  readonly nodeId: string;
  /** Of the machine: what pods together weigh against everything else there. */
  readonly cpuMillis: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Limits by the kernel, in the shape the kubelet gives them. Only BestEffort containers, of which
 * nothing is limited, have no cgroups of their own: they are in that of their class together, which
 * costs a start a tenth (0.1 instead of 1.1 ms of processor time).
 */
export class CgroupLimits implements ProcessLimits {
  readonly kind: ProcessLimits["kind"];
  readonly #options: CgroupLimitsOptions;
  readonly #node: string;
  readonly #bestEffort: string;
  readonly #groups = new Map<string, ProcessGroup>();
  readonly #pods = new Map<string, Pod>();
  readonly #classes = new Map<string, PodClass>();

  constructor(options: CgroupLimitsOptions) {
    this.#options = options;
    this.kind = `cgroup ${options.hierarchies.version}`;
    this.#node = join(CGROUP_PARENT, options.nodeId);
    this.#bestEffort = join(this.#node, "besteffort");
  }

  /** Makes what is there as long as the node is. Throws where cgroups cannot be written. */
  async open(): Promise<void> {
    const { version } = this.#options.hierarchies;
    const share = shareFile(version, this.#options.cpuMillis);
    if (version === "v2") await this.#delegate("");
    for (const path of [CGROUP_PARENT, this.#node]) {
      await this.#make(path, CGROUP_CONTROLLERS);
      await this.#write(path, [share]);
    }
    await this.#make(this.#bestEffort, ["cpu"]);
    await this.#write(this.#bestEffort, [shareFile(version, 0)]);
  }

  async place(process: ProcessIdentity, group: ProcessGroup): Promise<void> {
    const path = this.#pathOf(group);
    if (path === this.#bestEffort) return this.#attempt(path, () => this.#move(process, path));
    const limited = this.#groups.get(path)?.resources.memoryBytes !== undefined;
    this.#know(path, limited ? withMemory(group) : group);
    const known = this.#groups.get(path) ?? group;
    return this.#attempt(path, () => this.#place(process, known, path));
  }

  adopt(_process: ProcessIdentity, group: ProcessGroup): void {
    const path = this.#pathOf(group);
    if (path !== this.#bestEffort) this.#know(path, group);
  }

  ranOutOfMemory(group: ProcessGroup): boolean {
    // Without a limit of its own a container is not counted by itself.
    if (group.resources.memoryBytes === undefined) return false;
    const { version } = this.#options.hierarchies;
    const name = version === "v1" ? "memory.oom_control" : "memory.events";
    return (this.#counters("memory", group, name).get("oom_kill") ?? 0) > 0;
  }

  throttling(group: ProcessGroup): CpuThrottling | undefined {
    if (group.resources.cpuLimitMillis === undefined) return undefined;
    const counters = this.#counters("cpu", group, "cpu.stat");
    const periods = counters.get("nr_periods");
    if (periods === undefined) return undefined;
    const microseconds = counters.get("throttled_usec") ?? 0;
    return {
      periods,
      throttledPeriods: counters.get("nr_throttled") ?? 0,
      throttledNanoseconds: counters.get("throttled_time") ?? microseconds * 1000,
    };
  }

  async remove(group: ProcessGroup): Promise<void> {
    const path = this.#pathOf(group);
    if (path === this.#bestEffort) return;
    const pod = dirname(path);
    this.#forget(path);
    try {
      await this.#removeGroup(path);
      if (!this.#pods.has(pod)) await this.#removeGroup(pod);
      await this.#weighClass(dirname(pod));
    } catch (error) {
      // The next start sweeps it.
      this.#options.logger.warn("a cgroup stays", { group: path, error: String(error) });
    }
  }

  async sweep(): Promise<void> {
    try {
      for (const root of this.#roots()) {
        for (const node of await childrenOf(join(root, CGROUP_PARENT))) {
          const path = join(CGROUP_PARENT, node);
          if (path === this.#node) await this.#sweepTree(root, path);
          // Others look after theirs; of those that are gone for ever nobody does.
          else if (!(await hasProcesses(join(root, path)))) await removeTree(join(root, path));
        }
      }
      for (const path of this.#classes.keys()) await this.#weighClass(path);
    } catch (error) {
      this.#options.logger.warn("cgroups were not swept", { error: String(error) });
    }
  }

  close(): void {
    // Processes outlive the server, and their cgroups with them.
  }

  async #place(process: ProcessIdentity, group: ProcessGroup, path: string): Promise<void> {
    const { version } = this.#options.hierarchies;
    const files = processFiles(version, group.resources);
    const used = [...new Set(files.map(({ controller }) => controller))];
    const pod = dirname(path);
    const parent = dirname(pod);
    if (parent !== this.#node) await this.#make(parent, used);
    await this.#make(pod, used);
    await this.#write(pod, [shareFile(version, group.podCpuRequestMillis)]);
    await this.#weighClass(parent);
    await this.#make(path, used);
    await this.#write(path, files);
    await this.#move(process, path, used);
  }

  async #move(
    { pid }: ProcessIdentity,
    path: string,
    controllers: readonly CgroupController[] = ["cpu"],
  ): Promise<void> {
    const moves = this.#roots(controllers).map((root) =>
      writeFile(join(root, path, "cgroup.procs"), `${pid}`),
    );
    await Promise.all(moves);
  }

  async #attempt(path: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const { code } = error as { code?: string };
        // No such process: it ended, and its container's end is told by others.
        if (code === "ESRCH") return;
        if (code !== "ENOENT" || attempt === MAX_PLACE_ATTEMPTS) {
          const what = { group: path, error: String(error) };
          return this.#options.logger.warn("a process is not limited", what);
        }
        // Another node that swept the machine took what stood empty here.
        await this.open().catch(() => undefined);
      }
    }
  }

  #know(path: string, group: ProcessGroup): void {
    this.#forget(path);
    this.#groups.set(path, group);
    const pod = dirname(path);
    const known = this.#pods.get(pod);
    if (known !== undefined) return void known.groups.add(path);
    this.#pods.set(pod, { requestMillis: group.podCpuRequestMillis, groups: new Set([path]) });
    this.#addToClass(dirname(pod), group.podCpuRequestMillis);
  }

  #forget(path: string): void {
    const pod = dirname(path);
    const known = this.#pods.get(pod);
    this.#groups.delete(path);
    known?.groups.delete(path);
    if (known === undefined || known.groups.size > 0) return;
    this.#pods.delete(pod);
    this.#addToClass(dirname(pod), -known.requestMillis);
  }

  #addToClass(path: string, requestMillis: number): void {
    const known = this.#classes.get(path) ?? { requestMillis: 0, written: undefined };
    known.requestMillis += requestMillis;
    this.#classes.set(path, known);
  }

  /** Below a class its pods share what falls to it: the class weighs what they ask for together. */
  async #weighClass(path: string): Promise<void> {
    const known = this.#classes.get(path);
    // Guaranteed pods stand right below the node, which weighs what the machine has.
    if (path === this.#node || known === undefined) return;
    const { requestMillis } = known;
    if (known.written === requestMillis || !this.#exists(path)) return;
    known.written = requestMillis;
    await this.#write(path, [shareFile(this.#options.hierarchies.version, requestMillis)]);
  }

  #exists(path: string): boolean {
    const { cpu } = this.#options.hierarchies.roots;
    return cpu !== undefined && existsSync(join(cpu, path));
  }

  #pathOf({ qosClass, podUid, name }: ProcessGroup): string {
    if (qosClass === "BestEffort") return this.#bestEffort;
    const pod = `pod${safeName(podUid)}`;
    const level = qosClass === "Guaranteed" ? [] : [qosClass.toLowerCase()];
    return join(this.#node, ...level, pod, safeName(name));
  }

  /** One directory a hierarchy, and with v2 only one. */
  #roots(controllers: readonly CgroupController[] = CGROUP_CONTROLLERS): string[] {
    const { roots } = this.#options.hierarchies;
    return [...new Set(controllers.flatMap((controller) => roots[controller] ?? []))];
  }

  async #make(path: string, controllers: readonly CgroupController[]): Promise<void> {
    const { version } = this.#options.hierarchies;
    for (const root of this.#roots(controllers)) {
      await mkdir(join(root, path), { recursive: true });
      // With v2 a cgroup has the controllers that its parent hands down.
      if (version === "v2") await this.#delegate(dirname(path));
    }
  }

  async #delegate(path: string): Promise<void> {
    const { cpu = "" } = this.#options.hierarchies.roots;
    const all = CGROUP_CONTROLLERS.map((controller) => `+${controller}`).join(" ");
    await writeFile(join(cpu, path, "cgroup.subtree_control"), all);
  }

  async #write(path: string, files: readonly CgroupFile[]): Promise<void> {
    const { roots } = this.#options.hierarchies;
    for (const { controller, name, value } of files) {
      const root = roots[controller];
      if (root !== undefined) await writeFile(join(root, path, name), value);
    }
  }

  /** `name value` lines. */
  #counters(controller: CgroupController, group: ProcessGroup, name: string): Map<string, number> {
    const root = this.#options.hierarchies.roots[controller] ?? "";
    let text = "";
    try {
      text = readFileSync(join(root, this.#pathOf(group), name), "utf8");
    } catch {
      // The group is gone, or it never was: nothing was counted.
    }
    const lines = text.split("\n").map((line) => line.split(" "));
    return new Map(lines.map(([key = "", value]) => [key, Number(value)]));
  }

  async #removeGroup(path: string): Promise<void> {
    for (const root of this.#roots()) {
      for (let attempt = 1; ; attempt++) {
        const code = await removeEmpty(join(root, path));
        if (code === undefined || code === "ENOENT") break;
        if (attempt === MAX_REMOVE_ATTEMPTS) throw new Error(`${join(root, path)}: ${code}`);
        await sleep(this.#options.clock, 2 ** attempt);
      }
    }
  }

  /** Removes what nobody knows; what still has processes stays, and is told. */
  async #sweepTree(root: string, node: string): Promise<void> {
    const known = [...this.#groups.keys()];
    const visit = async (path: string): Promise<void> => {
      for (const child of await childrenOf(join(root, path))) await visit(join(path, child));
      if (path === node || path === this.#bestEffort) return;
      if (known.some((group) => `${group}/`.startsWith(`${path}/`))) return;
      const code = await removeEmpty(join(root, path));
      if (code === "EBUSY") this.#options.logger.warn("a cgroup is in use", { path });
    };
    await visit(node);
  }
}

/** A limit that was written stays until another is: the kernel is told when there is none now. */
function withMemory(group: ProcessGroup): ProcessGroup {
  return { ...group, resources: { memoryBytes: Number.POSITIVE_INFINITY, ...group.resources } };
}

/** The error's code, if it was not removed. */
async function removeEmpty(directory: string): Promise<string | undefined> {
  try {
    await rmdir(directory);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? "unknown";
  }
}

/** Cgroups below; what else stands there are the kernel's files. */
async function childrenOf(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return []; // It went meanwhile.
  }
}

async function hasProcesses(directory: string): Promise<boolean> {
  try {
    if ((await readFile(join(directory, "cgroup.procs"), "utf8")).trim() !== "") return true;
  } catch {
    return false; // It went meanwhile.
  }
  for (const child of await childrenOf(directory)) {
    if (await hasProcesses(join(directory, child))) return true;
  }
  return false;
}

async function removeTree(directory: string): Promise<void> {
  for (const child of await childrenOf(directory)) await removeTree(join(directory, child));
  await removeEmpty(directory);
}

/** Names come from the API server and from us; none of them leads anywhere else, whatever it is. */
function safeName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_");
}
