import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError, formatServerFlags } from "../cli/index.ts";
import type { ClusterConnection, ServerFlags } from "../cli/index.ts";
import { createDataDirectory, locateDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { connectToCluster, findRunningServer } from "./running-cluster.ts";
import { deploySample } from "./sample.ts";
import type { Sample } from "./sample.ts";
import { serve } from "./serve.ts";

export type Write = (text: string) => void;

const DETACHED_START_DEADLINE_MS = 30_000;
const POLL_INTERVAL_MS = 25;
const LOG_TAIL_LINES = 5;

/** `kubun up`: a server, the sample workload, its URL and what to try next. */
export async function up(flags: ServerFlags, options: { write: Write }): Promise<void> {
  const { write } = options;
  const running = findRunningServer(locateDataDirectory(flags.dataDir));
  if (running !== undefined) {
    throw new CommandError(
      `a cluster runs in ${flags.dataDir} already (pid ${running.pid}); ` +
        `see: kubun status --data-dir ${flags.dataDir}`,
    );
  }
  const ended = await serve(flags, {
    podsAtSignal: "end",
    async onReady({ directory }) {
      const cluster = connectToCluster(directory);
      write(describeCluster(cluster));
      write(describeSample(await deploySample(cluster), cluster));
      write("Ctrl-C ends the cluster and its pods; the state is kept for the next start.\n");
    },
  });
  write(ended === "replaced" ? "another process runs the cluster now\n" : "stopped\n");
}

/** `kubun up --detach`: the same with a server that goes on when this command has ended. */
export async function upDetached(flags: ServerFlags, options: { write: Write }): Promise<void> {
  const directory = createDataDirectory(flags.dataDir);
  if (findRunningServer(directory) === undefined) await startDetachedServer(flags, directory);
  const cluster = connectToCluster(directory);
  options.write(describeCluster(cluster));
  options.write(describeSample(await deploySample(cluster), cluster));
  options.write(`end it with: kubun stop --data-dir ${directory.path}\n`);
}

async function startDetachedServer(flags: ServerFlags, directory: DataDirectory): Promise<void> {
  const log = openSync(directory.serverLog, "a", 0o600);
  // From `/`, where a relative path would be another one.
  const words = formatServerFlags({ ...flags, dataDir: directory.path });
  const server = Bun.spawn({
    cmd: [process.execPath, join(import.meta.dir, "kubun.ts"), "server", ...words],
    stdio: ["ignore", log, log],
    detached: true,
    cwd: "/",
  });
  closeSync(log);
  server.unref();
  const deadlineMs = performance.now() + DETACHED_START_DEADLINE_MS;
  while (findRunningServer(directory)?.pid !== server.pid) {
    if (server.exitCode !== null || performance.now() > deadlineMs) {
      const tail = readFileSync(directory.serverLog, "utf8").trim().split("\n");
      throw new CommandError(
        `the server did not start; the end of ${directory.serverLog}:\n` +
          tail.slice(-LOG_TAIL_LINES).join("\n"),
      );
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  }
}

function describeCluster(cluster: ClusterConnection): string {
  return [
    `kubun ${cluster.version} runs at ${cluster.server}`,
    `kubeconfig: ${cluster.kubeconfig}`,
    "",
  ].join("\n");
}

function describeSample(sample: Sample, cluster: ClusterConnection): string {
  return [
    "",
    `hello-http answers at ${sample.url}`,
    "",
    "try next:",
    `  curl ${sample.url}`,
    `  export KUBECONFIG=${cluster.kubeconfig}`,
    "  kubectl get pods -o wide",
    `  kubectl scale deployment ${sample.deployment} --replicas=3`,
    "",
    "",
  ].join("\n");
}
