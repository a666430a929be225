import type { LocalRegistry } from "../local-registry.ts";
import { isDigest } from "../reference.ts";
import { parseRange } from "./byte-range.ts";
import { DistributionError } from "./distribution-error.ts";

/** HEAD, GET (whole or a range) and DELETE of one blob. */
export function serveBlob(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  digest: string,
): Response {
  checkDigest(digest);
  const size = registry.blobSize(repository, digest);
  if (size === undefined) {
    throw new DistributionError(404, "BLOB_UNKNOWN", `blob ${digest} is not in ${repository}`);
  }
  switch (request.method) {
    case "HEAD":
    case "GET":
      return sendBlob(registry, request, digest, size);
    case "DELETE":
      registry.repositories.deleteBlob(repository, digest);
      return new Response(null, { status: 202 });
    default:
      throw methodNotAllowed(request);
  }
}

function sendBlob(
  registry: LocalRegistry,
  request: Request,
  digest: string,
  size: number,
): Response {
  const headers = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    ETag: `"${digest}"`,
  };
  if (request.method === "HEAD") {
    return new Response(null, { headers: { ...headers, "Content-Length": String(size) } });
  }
  const file = Bun.file(registry.blobs.pathOf(digest));
  const range = parseRange(request.headers.get("range"), size);
  if (range === undefined) {
    return new Response(size === 0 ? null : file.stream(), {
      headers: { ...headers, "Content-Length": String(size) },
    });
  }
  if (range === "unsatisfiable") {
    throw new DistributionError(416, "SIZE_INVALID", `the blob has ${size} bytes`, {
      "Content-Range": `bytes */${size}`,
    });
  }
  return new Response(file.slice(range.first, range.last + 1).stream(), {
    status: 206,
    headers: {
      ...headers,
      "Content-Length": String(range.last - range.first + 1),
      "Content-Range": `bytes ${range.first}-${range.last}/${size}`,
    },
  });
}

export function checkDigest(digest: string): void {
  if (isDigest(digest)) return;
  throw new DistributionError(
    400,
    "DIGEST_INVALID",
    `digest ${JSON.stringify(digest.slice(0, 100))} is not sha256: and 64 hexadecimal digits`,
  );
}

export function methodNotAllowed(request: Request): DistributionError {
  return new DistributionError(405, "UNSUPPORTED", `${request.method} is not offered here`);
}
