import { CommandError, UsageError } from "../cli/index.ts";
import type { ClusterOption } from "../cli/index.ts";
import { apiErrorFrom, createClient } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import type { z } from "zod";
import { locateDataDirectory } from "./data-directory.ts";
import { readKubeconfig } from "./kubeconfig.ts";
import type { KubeconfigEntry } from "./kubeconfig.ts";
import { findRunningServer } from "./running-cluster.ts";
import { VERSION } from "./version.ts";

/** A cluster as its administrator reaches it. */
export interface AdminConnection {
  readonly client: Client;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  /** "https://HOST:PORT". */
  readonly server: string;
}

/**
 * Connects by a kubeconfig, or to the server that runs on a data directory.
 *
 * @throws UsageError when there is no such kubeconfig, CommandError when no server runs there
 */
export function connectAsAdmin(options: ClusterOption): AdminConnection {
  const entry = findKubeconfig(options);
  const client = createClient({
    fetch: (request) => send(request, entry),
    baseUrl: entry.server,
    token: entry.token,
    userAgent: `kubun/${VERSION}`,
  });
  return { client, ca: entry.ca, server: entry.server };
}

function findKubeconfig({ kubeconfig, dataDir }: ClusterOption): KubeconfigEntry {
  if (kubeconfig !== undefined) {
    const entry = readKubeconfig(kubeconfig);
    if (entry !== undefined) return entry;
    throw new UsageError(
      `--kubeconfig ${JSON.stringify(kubeconfig)} is not allowed: there is no such file`,
    );
  }
  const directory = locateDataDirectory(dataDir);
  const entry = readKubeconfig(directory.kubeconfig);
  if (entry !== undefined && findRunningServer(directory) !== undefined) return entry;
  throw new CommandError(
    `no server runs in ${directory.path}: start it, or name another one of the cluster with ` +
      "--kubeconfig",
  );
}

async function send(request: Request, { ca, server }: KubeconfigEntry): Promise<Response> {
  try {
    return await fetch(request, { tls: { ca } });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${server} does not answer: ${reason}`);
  }
}

/** Asks for JSON of a known form. @throws ApiError when refused, CommandError when it is another */
export async function ask<T extends z.ZodType>(
  connection: AdminConnection,
  call: { method: "GET" | "POST" | "DELETE"; path: string; answer: T },
): Promise<z.infer<T>> {
  const response = await connection.client.raw(call.path, { method: call.method });
  if (!response.ok) throw await apiErrorFrom(response);
  const parsed = call.answer.safeParse(await response.json());
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CommandError(
    `${connection.server} answered ${call.path} in a form that is not known here ` +
      `(${issue?.path.join(".")}: ${issue?.message})`,
  );
}
