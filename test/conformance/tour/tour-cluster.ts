import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../../src/cli/index.ts";
import { kubectlWith, realClient } from "../../harness/real-kubectl.ts";
import type { Kubectl } from "../../harness/real-kubectl.ts";
import { runCommand, spawnServer } from "../../harness/spawned-server.ts";
import type { CommandResult, SpawnedServer } from "../../harness/spawned-server.ts";

const WORKLOADS = join(import.meta.dir, "../../../workloads");
/** What a course has images of: a server, its next version, and a program that ends. */
const IMAGES = { "web:v1": "hello-http", "web:v2": "hello-http", "once:v1": "hello-wagi" };

export interface TourCluster extends AsyncDisposable {
  readonly server: SpawnedServer;
  readonly kubectl: Kubectl;
  /** Runs helm and expects exit code 0; gives standard output. */
  helm(...args: string[]): Promise<string>;
  /** kubectl that is expected to fail; gives standard error. */
  refused(...args: string[]): Promise<string>;
  /** Writes files into a folder of their own, and gives its path. */
  folder(files: Readonly<Record<string, string>>): string;
}

/** A server as a course finds it: its images are there, nothing else is. */
export async function startTour(args: readonly string[] = []): Promise<TourCluster> {
  const server = await spawnServer({ args });
  const kubectl = kubectlWith(server.kubeconfig);
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  for (const [reference, name] of Object.entries(IMAGES)) {
    const module = new Uint8Array(readFileSync(join(WORKLOADS, name, `${name}.wasm`)));
    await pushImage(connection, { reference, module });
  }
  const run = (command: string[]): Promise<CommandResult> =>
    runCommand(command, { env: { KUBECONFIG: server.kubeconfig, HOME: server.dataDir } });
  return {
    server,
    kubectl,
    async helm(...helmArgs) {
      const { exitCode, stdout, stderr } = await run([realClient("helm"), ...helmArgs]);
      if (exitCode !== 0) throw new Error(`helm ${helmArgs.join(" ")} gave ${exitCode}: ${stderr}`);
      return stdout;
    },
    async refused(...kubectlArgs) {
      const { exitCode, stdout, stderr } = await kubectl(...kubectlArgs);
      if (exitCode === 0) throw new Error(`kubectl ${kubectlArgs.join(" ")} printed ${stdout}`);
      return stderr;
    },
    folder(files) {
      const path = mkdtempSync(join(server.dataDir, "folder-"));
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
      return path;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
