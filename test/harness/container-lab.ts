import { existsSync } from "node:fs";
import { buildNetworkLab, labObstacle } from "./network-lab.ts";
import { kubectlWith } from "./real-kubectl.ts";
import type { Kubectl } from "./real-kubectl.ts";
import { KUBUN, runCommand, spawnServer } from "./spawned-server.ts";
import type { CommandResult, SpawnedServer } from "./spawned-server.ts";

/** A server that runs containers, alone in a network namespace. */
export interface ContainerLab extends AsyncDisposable {
  readonly server: SpawnedServer;
  /** The real kubectl, inside the namespace. */
  readonly kubectl: Kubectl;
  /** Puts a command into the namespace. */
  command(cmd: readonly string[]): string[];
  /** Runs a command inside the namespace and expects exit code 0; gives standard output. */
  run(...cmd: string[]): Promise<string>;
  /** Pushes an image layout or a module to the cluster's registry. */
  push(file: string, name: string): Promise<string>;
}

const TOOLS: Readonly<Record<string, string>> = {
  containerd: "containerd",
  "containerd-shim-runc-v2": "containerd",
  runc: "runc",
  umoci: "umoci",
  skopeo: "skopeo",
  busybox: "busybox-static",
  curl: "curl",
};

/** Says why no containers can be tested here; undefined when they can. */
export async function containersObstacle(): Promise<string | undefined> {
  for (const [tool, debian] of Object.entries(TOOLS)) {
    if (Bun.which(tool) === null) return `${tool} is missing (${debian})`;
  }
  if (!existsSync("/sys/fs/cgroup")) return "there are no cgroups";
  return labObstacle();
}

/** Starts a server with a containerd of its own. */
export async function startContainerLab(args: readonly string[] = []): Promise<ContainerLab> {
  const network = await buildNetworkLab(1);
  const [host] = network.hosts;
  if (host === undefined) throw new Error("the laboratory has no host");
  // Not `ip netns exec`: it shows another /sys, in which there are no cgroups.
  const enter = ["nsenter", `--net=/run/netns/${host.namespace}`];
  const command = (cmd: readonly string[]): string[] => [...enter, ...cmd];
  // What is mounted for containers goes with the last process of the server.
  const ownMounts = ["unshare", "--mount", "--propagation", "slave"];
  try {
    const server = await spawnServer({
      args: ["--container-runtime-endpoint", "own", ...args],
      command: (cmd) => command([...ownMounts, ...cmd]),
    });
    const run = async (...cmd: string[]): Promise<string> =>
      expectOk(cmd, await runCommand(command(cmd)));
    return {
      server,
      command,
      run,
      kubectl: kubectlWith(server.kubeconfig, { command }),
      push: (file, name) => run(KUBUN, "image", "push", "--data-dir", server.dataDir, file, name),
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await network[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/** Standard output of a command that ended well. Throws with its words otherwise. */
export function expectOk(cmd: readonly string[], result: CommandResult): string {
  if (result.exitCode === 0) return result.stdout;
  throw new Error(`${cmd.join(" ")} gave ${result.exitCode}:\n${result.stderr}${result.stdout}`);
}
