import { CommandError } from "../cli/index.ts";
import type { ClusterConnection } from "../cli/index.ts";
import { createClient } from "../client/index.ts";
import { isSameProcess } from "../os/index.ts";
import { readServerRecord } from "./data-directory.ts";
import type { DataDirectory, ServerRecord } from "./data-directory.ts";
import { readKubeconfig } from "./kubeconfig.ts";
import { VERSION } from "./version.ts";

/** The record of the server that runs on this directory right now, if one does. */
export function findRunningServer(directory: DataDirectory): ServerRecord | undefined {
  const record = readServerRecord(directory);
  if (record === undefined || !isSameProcess(record.pid, record.startTime)) return undefined;
  return record;
}

/** Connects to the cluster of a data directory. Throws a CommandError when none runs there. */
export function connectToCluster(directory: DataDirectory): ClusterConnection {
  const record = findRunningServer(directory);
  const kubeconfig = readKubeconfig(directory.kubeconfig);
  if (record === undefined || kubeconfig === undefined) {
    throw new CommandError(
      `no cluster runs in ${directory.path}; start one with: kubun up --data-dir ${directory.path}`,
    );
  }
  return {
    client: createClient({
      fetch: (request) => send(request, kubeconfig.ca),
      baseUrl: kubeconfig.server,
      token: kubeconfig.token,
      userAgent: `kubun/${VERSION}`,
    }),
    version: record.version,
    pid: record.pid,
    startedAt: record.startedAt,
    server: record.server,
    ingress: record.ingress,
    ...(record.ingressHttps === undefined ? {} : { ingressHttps: record.ingressHttps }),
    ...(record.dns === undefined ? {} : { dns: record.dns }),
    kubeconfig: directory.kubeconfig,
  };
}

async function send(request: Request, ca: string): Promise<Response> {
  try {
    return await fetch(request, { tls: { ca } });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${new URL(request.url).origin} does not answer: ${reason}`);
  }
}
