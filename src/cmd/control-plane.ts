import { bootstrap, createApiServer, tokenAuthenticator } from "../apiserver/index.ts";
import type { NodeConnector, User } from "../apiserver/index.ts";
import type { PortRange } from "../cli/index.ts";
import { createDistributionApp } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import { createRegistry } from "../registry/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Store } from "../store/index.ts";
import { GIT_VERSION, KUBERNETES_VERSION } from "./version.ts";

/** How soon the `kubernetes` Service and its like are back, as in a Kubernetes control plane. */
const BOOTSTRAP_INTERVAL_MS = 10_000;

export interface ControlPlaneOptions {
  readonly store: Store;
  readonly images: ImageStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly users: ReadonlyMap<string, User>;
  readonly nodeConnector: NodeConnector;
  readonly serviceCidr: string;
  readonly nodePortRange: PortRange;
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  readonly signal: AbortSignal;
}

export interface ControlPlane {
  /** The Kubernetes API alone: what the cluster's own parts are handed. */
  readonly api: Fetch;
  /** What listens on the API's port: the Kubernetes API, and the image registry under /v2/. */
  readonly front: Fetch;
}

/** The server tower, from the store up. */
export async function createControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, clock, random, logger } = options;
  const registry = createRegistry({
    store,
    clock,
    random,
    logger: logger.child({ room: "registry" }),
    serviceCidr: options.serviceCidr,
    nodePortRange: options.nodePortRange,
  });
  const authenticator = tokenAuthenticator(options.users);
  const apiServer = createApiServer({
    registry,
    clock,
    random,
    logger: logger.child({ room: "apiserver" }),
    authenticator,
    nodeConnector: options.nodeConnector,
    version: {
      major: KUBERNETES_VERSION.major,
      minor: KUBERNETES_VERSION.minor,
      gitVersion: GIT_VERSION,
      gitCommit: "",
      platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
    },
  });
  await keepBootstrapped(registry, options);
  const distribution = createDistributionApp({
    images: options.images,
    authorize: (request) =>
      authenticator.authenticate(withBearer(request)) === undefined ? "unauthenticated" : "allow",
  });
  const api: Fetch = async (request) => apiServer.fetch(request);
  const front: Fetch = async (request) =>
    isImageRequest(request) ? distribution.fetch(request) : apiServer.fetch(request);
  return { api, front };
}

/** Makes what every cluster has, now and again when somebody deleted it. */
async function keepBootstrapped(registry: Registry, options: ControlPlaneOptions): Promise<void> {
  const { clock, logger, signal, advertiseAddress, advertisePort } = options;
  const ensure = (): Promise<void> =>
    bootstrap({ registry, logger, advertiseAddress, advertisePort });
  await ensure();
  const repeat = async (): Promise<void> => {
    for (;;) {
      await sleep(clock, BOOTSTRAP_INTERVAL_MS, signal);
      if (signal.aborted) return;
      await ensure().catch((error: unknown) => {
        logger.warn("bootstrap", { error: String(error) });
      });
    }
  };
  void repeat();
}

function isImageRequest(request: Request): boolean {
  const { pathname } = new URL(request.url);
  return pathname === "/v2" || pathname.startsWith("/v2/");
}

/** OCI clients know Basic credentials: any user name, and a bearer token as the password. */
function withBearer(request: Request): Request {
  const header = request.headers.get("authorization");
  if (header === null || !header.startsWith("Basic ")) return request;
  const decoded = Buffer.from(header.slice("Basic ".length), "base64").toString("utf8");
  const token = decoded.slice(decoded.indexOf(":") + 1);
  return new Request(request.url, { headers: { authorization: `Bearer ${token}` } });
}
