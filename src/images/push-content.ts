import { ImageError } from "./image-error.ts";
import type { Reference } from "./reference.ts";
import { DEFAULT_TAG, formatReference } from "./reference.ts";
import type { RegistryRequest } from "./registry-session.ts";
import type { ImageContent } from "./wasm-artifact.ts";

/** A registry's HTTP interface; `path` is absolute (`/v2/…`) or what the registry said. */
export type SendToRegistry = (path: string, request: RegistryRequest) => Promise<Response>;

/**
 * Stores an image over the OCI distribution protocol: what the registry lacks of its blobs, then
 * the manifest that names them. Throws ImageError with the registry's words.
 */
export async function pushContent(
  send: SendToRegistry,
  reference: Reference,
  content: ImageContent,
): Promise<void> {
  const { repository } = reference;
  const wanted = reference.digest ?? content.manifest.digest;
  if (wanted !== content.manifest.digest) {
    const why = `the image has digest ${content.manifest.digest}`;
    throw new ImageError("digest-mismatch", `${formatReference(reference)}: ${why}`);
  }
  for (const blob of content.blobs) await pushBlob(send, repository, blob);
  const tag = reference.tag ?? (reference.digest === undefined ? DEFAULT_TAG : wanted);
  const { mediaType, bytes } = content.manifest;
  const response = await send(`/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { "Content-Type": mediaType },
    body: bytes,
  });
  await expectSuccess(response, `storing ${formatReference(reference)}`);
}

/** Stores a blob that is a file, unless the repository has it. Throws ImageError. */
export async function pushFile(
  send: SendToRegistry,
  repository: string,
  digest: string,
  path: string,
): Promise<void> {
  await pushBlob(send, repository, { digest, bytes: Bun.file(path) });
}

/** In two steps: not every registry takes a blob with the request that begins its upload. */
async function pushBlob(
  send: SendToRegistry,
  repository: string,
  blob: { readonly digest: string; readonly bytes: Uint8Array<ArrayBuffer> | Blob },
): Promise<void> {
  const existing = await send(`/v2/${repository}/blobs/${blob.digest}`, { method: "HEAD" });
  await existing.body?.cancel();
  if (existing.ok) return;
  const what = `storing blob ${blob.digest}`;
  const begun = await send(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  await expectSuccess(begun, what);
  await begun.body?.cancel();
  const location = begun.headers.get("location");
  if (location === null) throw new ImageError("unsupported", `${what}: no upload location came`);
  const joined = `${location}${location.includes("?") ? "&" : "?"}digest=${blob.digest}`;
  const response = await send(joined, {
    method: "PUT",
    headers: { "Content-Type": "application/octet-stream" },
    body: blob.bytes,
  });
  await expectSuccess(response, what);
  await response.body?.cancel();
}

const MAX_WORDS = 300;

/** Throws ImageError with the registry's words when it refused. */
export async function expectSuccess(response: Response, what: string): Promise<void> {
  if (response.ok) return;
  const words = (await response.text()).slice(0, MAX_WORDS);
  const refused = response.status === 401 || response.status === 403;
  const code = refused ? "unauthorized" : "unreachable";
  throw new ImageError(code, `${what} failed: ${response.status} ${words}`.trimEnd());
}
