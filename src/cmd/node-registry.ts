import { timingSafeEqual } from "node:crypto";
import type { Fetch } from "../lib/index.ts";
import type { RegistryRoute } from "../runtime/index.ts";

/** What names without a registry stand for, `redis:v1` and `docker.io/library/redis:v1` alike. */
const HUB = "docker.io";
const HUB_PATH = "/hub";
const HUB_LIBRARY = "/v2/library/";
const SECRET_BYTES = 32;

export interface NodeRegistryOptions {
  /** Who has the cluster's images, asked one after another: `/v2/…` of any host. */
  readonly sources: () => readonly Fetch[];
  /** `host:port` names under which users push to this cluster. */
  readonly hosts: () => readonly string[];
}

/**
 * Where a container runtime of this machine finds the cluster's own images: a listener on
 * 127.0.0.1 that reads only, for who knows its secret. It opens with the first pull.
 */
export function createNodeRegistry(options: NodeRegistryOptions): () => readonly RegistryRoute[] {
  let opened: { readonly url: string; readonly authorization: string } | undefined;
  return () => {
    opened ??= openDoor(options.sources);
    const { url, authorization } = opened;
    return [
      // What the cluster has not is Docker Hub's, which is asked next.
      { host: HUB, mirrors: [{ url: url + HUB_PATH, authorization }] },
      ...options
        .hosts()
        .map((host) => ({ host, mirrors: [{ url, authorization }], mirrorsOnly: true as const })),
    ];
  };
}

function openDoor(sources: () => readonly Fetch[]): { url: string; authorization: string } {
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  const authorization = `Bearer ${secret.toString("base64url")}`;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // A large layer takes its time.
    idleTimeout: 0,
    fetch: (request) => serveImage(request, authorization, sources()),
  });
  // It keeps no process alive, and ends with it.
  server.unref();
  return { url: `http://127.0.0.1:${server.port}`, authorization };
}

/** Answers one request of a runtime; the first source that has it is passed on. */
export async function serveImage(
  request: Request,
  authorization: string,
  sources: readonly Fetch[],
): Promise<Response> {
  if (!isSame(request.headers.get("authorization") ?? "", authorization)) {
    return new Response("credentials are needed\n", { status: 403 });
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("images are only read here\n", { status: 405 });
  }
  const { pathname, search } = new URL(request.url);
  let last: Response | undefined;
  for (const path of pathsFor(pathname)) {
    for (const source of sources) {
      await last?.body?.cancel();
      last = await source(copyOf(request, path + search)).catch(unreachable);
      if (last.ok || last.status === 416) return last;
    }
  }
  return last ?? new Response("no server is known\n", { status: 503 });
}

/** Names without a registry are kept as they were pushed, and asked with `library/` before. */
function pathsFor(pathname: string): readonly string[] {
  if (!pathname.startsWith(`${HUB_PATH}/`)) return [pathname];
  const path = pathname.slice(HUB_PATH.length);
  if (!path.startsWith(HUB_LIBRARY)) return [path];
  return [`/v2/${path.slice(HUB_LIBRARY.length)}`, path];
}

function copyOf(request: Request, path: string): Request {
  const headers = new Headers();
  for (const name of ["accept", "range"]) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Request(`https://registry.kubun.internal${path}`, {
    method: request.method,
    headers,
    signal: request.signal,
  });
}

function unreachable(error: unknown): Response {
  return new Response(`the registry does not answer: ${String(error)}\n`, { status: 502 });
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
