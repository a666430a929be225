import type { LocalRegistry } from "../local-registry.ts";
import { MAX_MANIFEST_BYTES } from "../manifest.ts";
import { OCI_INDEX } from "../media-types.ts";
import { isTag } from "../reference.ts";
import { sha256Of } from "../blob-store.ts";
import { checkDigest, methodNotAllowed } from "./blob-routes.ts";
import { DistributionError } from "./distribution-error.ts";

/** HEAD, GET, PUT and DELETE of a manifest by tag or digest. */
export async function serveManifest(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  reference: string,
): Promise<Response> {
  const byDigest = reference.includes(":");
  if (byDigest) checkDigest(reference);
  else if (!isTag(reference)) {
    throw new DistributionError(404, "MANIFEST_UNKNOWN", "that is neither a tag nor a digest");
  }
  switch (request.method) {
    case "HEAD":
    case "GET":
      return sendManifest(registry, request, repository, reference);
    case "PUT":
      return putManifest(registry, request, repository, reference);
    case "DELETE": {
      const gone = byDigest
        ? registry.deleteManifest(repository, reference)
        : registry.deleteTag(repository, reference);
      if (!gone) throw unknownManifest(repository, reference);
      return new Response(null, { status: 202 });
    }
    default:
      throw methodNotAllowed(request);
  }
}

async function sendManifest(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  reference: string,
): Promise<Response> {
  const digest = registry.repositories.resolve(repository, reference);
  const record =
    digest === undefined ? undefined : registry.repositories.manifests(repository).get(digest);
  if (digest === undefined || record === undefined) throw unknownManifest(repository, reference);
  const headers = {
    "Content-Type": record.mediaType,
    "Content-Length": String(record.sizeBytes),
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
  };
  if (request.method === "HEAD") return new Response(null, { headers });
  const bytes = await registry.blobs.read(digest, MAX_MANIFEST_BYTES);
  return new Response(new Uint8Array(bytes), { headers });
}

async function putManifest(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  reference: string,
): Promise<Response> {
  const bytes = await readBounded(request, MAX_MANIFEST_BYTES);
  const byDigest = reference.includes(":");
  const digest = sha256Of(bytes);
  if (byDigest && digest !== reference) {
    throw new DistributionError(400, "DIGEST_INVALID", `the content has digest ${digest}`);
  }
  const contentType = request.headers.get("content-type")?.split(";")[0]?.trim();
  const stored = await registry.putManifest(repository, bytes, {
    mediaType: contentType === undefined || contentType === "" ? undefined : contentType,
    ...(byDigest ? {} : { tag: reference }),
  });
  return new Response(null, {
    status: 201,
    headers: {
      Location: `/v2/${repository}/manifests/${reference}`,
      "Docker-Content-Digest": stored.digest,
      "Content-Length": "0",
      ...(stored.subject === undefined ? {} : { "OCI-Subject": stored.subject }),
    },
  });
}

/** GET /v2/NAME/referrers/DIGEST: an index of the manifests whose subject it is. */
export function listReferrers(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  digest: string,
): Response {
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed(request);
  checkDigest(digest);
  const filter = new URL(request.url).searchParams.get("artifactType");
  const manifests = [...registry.repositories.manifests(repository)]
    .filter(([, record]) => record.subject === digest)
    .filter(([, record]) => filter === null || record.artifactType === filter)
    .map(([found, record]) => ({
      mediaType: record.mediaType,
      digest: found,
      size: record.sizeBytes,
      ...(record.artifactType === undefined ? {} : { artifactType: record.artifactType }),
      ...(record.annotations === undefined ? {} : { annotations: record.annotations }),
    }));
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  return new Response(body, {
    headers: {
      "Content-Type": OCI_INDEX,
      ...(filter === null ? {} : { "OCI-Filters-Applied": "artifactType" }),
    },
  });
}

async function readBounded(request: Request, limitBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.length;
    if (size > limitBytes) {
      throw new DistributionError(
        413,
        "SIZE_INVALID",
        `a manifest has at most ${limitBytes} bytes`,
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function unknownManifest(repository: string, reference: string): DistributionError {
  const message = `manifest ${reference} is not in ${repository}`;
  return new DistributionError(404, "MANIFEST_UNKNOWN", message);
}
