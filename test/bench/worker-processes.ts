import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The processes that run containers of a data directory, each once however many it holds. */
export function workersOf(dataDir: string): readonly number[] {
  const containers = join(dataDir, "runtime", "containers");
  const pids = new Set<number>();
  for (const id of readdirSync(containers)) {
    const pid = workerOf(join(containers, id, "state.json"));
    if (pid !== undefined) pids.add(pid);
  }
  return [...pids];
}

function workerOf(path: string): number | undefined {
  try {
    const { worker } = JSON.parse(readFileSync(path, "utf8")) as {
      worker?: { identity: { pid: number } };
    };
    return worker?.identity.pid;
  } catch {
    // A container that is being removed has no file any more.
    return undefined;
  }
}
