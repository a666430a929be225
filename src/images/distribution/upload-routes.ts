import type { LocalRegistry } from "../local-registry.ts";
import { isDigest, isRepositoryName } from "../reference.ts";
import type { Upload } from "../uploads.ts";
import { checkDigest, methodNotAllowed } from "./blob-routes.ts";
import { parseContentRange } from "./byte-range.ts";
import { DistributionError } from "./distribution-error.ts";

/** POST /v2/NAME/blobs/uploads/: a mount, a whole blob, or the start of an upload. */
export async function startUpload(
  registry: LocalRegistry,
  request: Request,
  repository: string,
): Promise<Response> {
  if (request.method !== "POST") throw methodNotAllowed(request);
  const query = new URL(request.url).searchParams;
  const mount = query.get("mount");
  if (mount !== null && canMount(registry, mount, query.get("from"))) {
    await registry.mount(repository, mount);
    return created(repository, mount);
  }
  const digest = query.get("digest");
  if (digest !== null) checkDigest(digest);
  const upload = await registry.uploads.start(repository);
  return digest === null
    ? accepted(upload)
    : await finish(registry, upload, digest, request, { keepOnMismatch: false });
}

/** Without `from` the registry may look everywhere (distribution spec 1.1). */
function canMount(registry: LocalRegistry, digest: string, from: string | null): boolean {
  if (!isDigest(digest) || registry.blobs.sizeOf(digest) === undefined) return false;
  if (from !== null) {
    return isRepositoryName(from) && registry.blobSize(from, digest) !== undefined;
  }
  return registry.repositories
    .names()
    .some((name) => registry.repositories.blobs(name).has(digest));
}

/** GET, PATCH, PUT and DELETE of an upload under way. */
export async function continueUpload(
  registry: LocalRegistry,
  request: Request,
  repository: string,
  id: string,
): Promise<Response> {
  const upload = registry.uploads.find(repository, id);
  if (upload === undefined) {
    throw new DistributionError(404, "BLOB_UPLOAD_UNKNOWN", "this upload is not under way");
  }
  switch (request.method) {
    case "GET":
      return new Response(null, { status: 204, headers: uploadHeaders(upload) });
    case "PATCH":
      await exclusively(upload, () => append(upload, request));
      return accepted(upload);
    case "PUT": {
      const digest = new URL(request.url).searchParams.get("digest") ?? "";
      checkDigest(digest);
      return finish(registry, upload, digest, request, { keepOnMismatch: true });
    }
    case "DELETE":
      await registry.uploads.end(upload);
      return new Response(null, { status: 204 });
    default:
      throw methodNotAllowed(request);
  }
}

/** A wrong piece leaves what was there before; one that broke off half-way ends the upload. */
async function append(upload: Upload, request: Request): Promise<void> {
  const field = request.headers.get("content-range");
  const length = request.headers.get("content-length");
  if (field !== null) {
    const range = parseContentRange(field);
    if (range === undefined || range.first !== upload.writer.sizeBytes) {
      throw outOfOrder(upload, `piece ${field} does not follow what is here`);
    }
    if (length !== null && Number(length) !== range.last - range.first + 1) {
      throw new DistributionError(400, "SIZE_INVALID", `${length} bytes came for ${field}`);
    }
  }
  if (request.body !== null) await upload.writer.appendAll(request.body);
}

async function finish(
  registry: LocalRegistry,
  upload: Upload,
  digest: string,
  request: Request,
  options: { keepOnMismatch: boolean },
): Promise<Response> {
  const { repository } = upload;
  try {
    await exclusively(upload, async () => {
      await append(upload, request);
      await registry.pin([digest], async () => {
        await upload.writer.commit(digest);
        await registry.repositories.addBlob(repository, digest);
      });
    });
  } catch (error) {
    const outOfOrder = error instanceof DistributionError && error.status === 416;
    if (!(options.keepOnMismatch && outOfOrder)) await registry.uploads.end(upload);
    throw error;
  }
  await registry.uploads.end(upload);
  return created(repository, digest);
}

async function exclusively(upload: Upload, work: () => Promise<void>): Promise<void> {
  if (upload.busy) throw outOfOrder(upload, "another piece is being written");
  upload.busy = true;
  try {
    await work();
  } finally {
    upload.busy = false;
  }
}

function outOfOrder(upload: Upload, message: string): DistributionError {
  return new DistributionError(416, "BLOB_UPLOAD_INVALID", message, uploadHeaders(upload));
}

function accepted(upload: Upload): Response {
  return new Response(null, { status: 202, headers: uploadHeaders(upload) });
}

function created(repository: string, digest: string): Response {
  return new Response(null, {
    status: 201,
    headers: {
      Location: `/v2/${repository}/blobs/${digest}`,
      "Docker-Content-Digest": digest,
      "Content-Length": "0",
    },
  });
}

function uploadHeaders(upload: Upload): Record<string, string> {
  return {
    Location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
    // The last byte that is here; nothing at all cannot be said in this form.
    Range: `0-${Math.max(0, upload.writer.sizeBytes - 1)}`,
    "Docker-Upload-UUID": upload.id,
  };
}
