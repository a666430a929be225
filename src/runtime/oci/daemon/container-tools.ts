import { pauseArchitecture } from "./pause-program.ts";

/** The programs of the machine that a containerd of our own is made of, as absolute paths. */
export interface ContainerTools {
  readonly containerd: string;
  readonly ctr: string;
  readonly runc: string;
  /** Searched by containerd itself for what it starts, the shim above all. */
  readonly path: string;
}

/** Where distributions put what only root runs, which not every root's PATH has. */
const ADMINISTRATORS_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
const NEEDED = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"] as const;

export interface Machine {
  readonly platform: string;
  /** As Node names it: `x64`, `arm64`. */
  readonly architecture: string;
  readonly isRoot: boolean;
  /** Undefined when the program is not on this search path. */
  which(program: string, path: string): string | undefined;
  readonly path: string;
}

/** Finds the programs, or says in words why containers cannot run here and what to do about it. */
export function findContainerTools(
  machine: Machine,
): { readonly tools: ContainerTools } | { readonly obstacle: string } {
  if (machine.platform !== "linux") {
    return { obstacle: `containers need Linux; this is ${machine.platform}` };
  }
  if (pauseArchitecture(machine.architecture) === undefined) {
    return { obstacle: `containers need amd64 or arm64; this is ${machine.architecture}` };
  }
  if (!machine.isRoot) return { obstacle: "containers need root; run Kubun as root for them" };
  const path = machine.path === "" ? ADMINISTRATORS_PATH : `${machine.path}:${ADMINISTRATORS_PATH}`;
  const found = new Map(NEEDED.map((program) => [program, machine.which(program, path)] as const));
  const missing = NEEDED.filter((program) => found.get(program) === undefined);
  if (missing.length > 0) {
    return {
      obstacle:
        `containers need containerd and runc, and ${missing.join(", ")} ` +
        `${missing.length === 1 ? "is" : "are"} not on this machine: install them ` +
        `(on Debian and Ubuntu: apt-get install containerd runc), or name a running runtime ` +
        `with --container-runtime-endpoint`,
    };
  }
  const [containerd = "", , ctr = "", runc = ""] = NEEDED.map((program) => found.get(program));
  return { tools: { containerd, ctr, runc, path } };
}

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  return {
    platform: process.platform,
    architecture: process.arch,
    isRoot: process.getuid?.() === 0,
    path: process.env["PATH"] ?? "",
    which: (program, path) => Bun.which(program, { PATH: path }) ?? undefined,
  };
}
