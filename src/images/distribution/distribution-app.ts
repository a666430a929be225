import { Hono } from "hono";
import type { LocalRegistry } from "../local-registry.ts";
import { isRepositoryName } from "../reference.ts";
import { serveBlob } from "./blob-routes.ts";
import { DistributionError, distributionErrorFrom } from "./distribution-error.ts";
import { listRepositories, listTags } from "./listing-routes.ts";
import { listReferrers, serveManifest } from "./manifest-routes.ts";
import { continueUpload, startUpload } from "./upload-routes.ts";

/** What a request may do. */
export type Authorization = "allow" | "unauthenticated" | "forbidden";

export interface DistributionOptions {
  readonly images: { readonly registry: LocalRegistry };
  readonly authorize: (request: Request) => Authorization | Promise<Authorization>;
}

type Serve = (
  registry: LocalRegistry,
  request: Request,
  repository: string,
  rest: string,
) => Response | Promise<Response>;

/** Repository names have slashes, so that paths are told apart from their end. */
const ROUTES: readonly (readonly [RegExp, Serve])[] = [
  [/^\/v2\/(.+)\/blobs\/uploads\/?()$/, startUpload],
  [/^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/, continueUpload],
  [/^\/v2\/(.+)\/blobs\/([^/]+)$/, serveBlob],
  [/^\/v2\/(.+)\/manifests\/([^/]+)$/, serveManifest],
  [/^\/v2\/(.+)\/tags\/list()$/, listTags],
  [/^\/v2\/(.+)\/referrers\/([^/]+)$/, listReferrers],
];

/**
 * The OCI distribution API v1.1 over the cluster's registry; to be mounted at the root of a server,
 * where it answers /v2/ and below. Large uploads need a server without a limit on request bodies.
 */
export function createDistributionApp(options: DistributionOptions): Hono {
  const { registry } = options.images;
  const app = new Hono();
  app.use("/v2/*", async (context, next) => {
    await next();
    context.res.headers.set("Docker-Distribution-API-Version", "registry/2.0");
  });
  app.use("/v2/*", async (context, next) => {
    const verdict = await options.authorize(context.req.raw);
    if (verdict === "unauthenticated") {
      throw new DistributionError(401, "UNAUTHORIZED", "credentials are needed", {
        "WWW-Authenticate": 'Basic realm="Kubun registry"',
      });
    }
    if (verdict === "forbidden") throw new DistributionError(403, "DENIED", "not allowed");
    await next();
  });
  app.all("/v2", () => Response.json({}));
  app.all("/v2/", () => Response.json({}));
  app.all("/v2/_catalog", (context) => listRepositories(registry, context.req.raw));
  app.all("/v2/*", (context) => dispatch(registry, context.req.raw));
  app.onError((error) => {
    const known = distributionErrorFrom(error);
    if (known === undefined) throw error;
    return known.toResponse();
  });
  return app;
}

async function dispatch(registry: LocalRegistry, request: Request): Promise<Response> {
  const path = new URL(request.url).pathname;
  for (const [pattern, serve] of ROUTES) {
    const parts = pattern.exec(path);
    if (parts === null) continue;
    const [, repository = "", rest = ""] = parts;
    if (!isRepositoryName(repository)) {
      const message = `repository name ${JSON.stringify(repository.slice(0, 300))} is not allowed`;
      throw new DistributionError(400, "NAME_INVALID", message);
    }
    return serve(registry, request, repository, decoded(rest));
  }
  throw new DistributionError(404, "UNSUPPORTED", `there is nothing at ${path.slice(0, 300)}`);
}

/** Digests may come percent-encoded; what is not decodable is passed on and found invalid. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
