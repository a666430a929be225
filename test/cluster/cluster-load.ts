import { join } from "node:path";
import type { ServerGroup } from "../harness/server-group.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import type { LoadOptions, LoadReport } from "./load-process.ts";

export interface ClusterLoad {
  /** Ends the writers, lets the watches catch up, and gives what they saw. */
  stop(): Promise<LoadReport>;
}

export interface ClusterLoadOptions {
  readonly writers: number;
  readonly watches: number;
  readonly name: string;
  /** Puts the process elsewhere, into a network namespace for one. */
  readonly command?: (cmd: readonly string[]) => string[];
}

/** Writes to all servers of a group from another process, which moves on when one dies. */
export async function startLoad(
  group: Pick<ServerGroup, "servers">,
  options: ClusterLoadOptions,
): Promise<ClusterLoad> {
  const { command = (cmd: readonly string[]): string[] => [...cmd], ...rest } = options;
  const load: LoadOptions = {
    ...rest,
    kubeconfigs: group.servers.map(({ kubeconfig }) => kubeconfig),
  };
  const script = join(import.meta.dir, "load-process.ts");
  const child = Bun.spawn({
    cmd: command([process.execPath, script, JSON.stringify(load)]),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const reader = child.stdout.getReader();
  // The first line says that writers and watches are on their way.
  await reader.read();
  return {
    async stop() {
      void child.stdin.end();
      const decoder = new TextDecoder();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
      }
      await child.exited;
      return JSON.parse(text) as LoadReport;
    },
  };
}

/** The longest time without an acknowledgement from `sinceMs` on, in milliseconds. */
export function longestSilence({ acknowledgedAtMs }: LoadReport, sinceMs: number): number {
  let longest = 0;
  let last = sinceMs;
  for (const atMs of acknowledgedAtMs) {
    if (atMs < sinceMs) continue;
    longest = Math.max(longest, atMs - last);
    last = atMs;
  }
  return longest;
}

/** What was acknowledged and is not there. */
export async function missingAt(
  server: SpawnedServer,
  acknowledged: readonly string[],
): Promise<string[]> {
  const response = await server.request("/api/v1/namespaces/default/configmaps");
  const list = (await response.json()) as { items: { metadata: { name: string } }[] };
  const present = new Set(list.items.map(({ metadata }) => metadata.name));
  return acknowledged.filter((name) => !present.has(name));
}

/** What the watches did not see although it was acknowledged, and what they saw out of order. */
export function watchFaults({ acknowledged, watches }: LoadReport): string[] {
  return watches.flatMap(({ names, wrong }, number) => {
    const seen = new Set(names);
    const unseen = acknowledged.filter((name) => !seen.has(name));
    return [...wrong, ...unseen.map((name) => `${name} never came to watch ${number}`)];
  });
}
