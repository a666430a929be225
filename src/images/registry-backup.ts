import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import { type Descriptor, parseManifest, referencesOf } from "./manifest.ts";
import { MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";
import { blobPath, LAYOUT_FILE, LAYOUT_VERSION, REF_NAME } from "./oci-layout.ts";
import { expectSuccess, pushFile } from "./push-content.ts";
import type { SendToRegistry } from "./push-content.ts";

const MAX_INDEX_DEPTH = 3;
const REPOSITORIES_A_PAGE = 1000;
const TAGS_A_PAGE = 1000;

const catalogSchema = z.object({ repositories: z.array(z.string()) });
const tagsSchema = z.object({ tags: z.array(z.string()) });

interface SavedManifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * Copies every tagged image of a registry into a directory, as one OCI image layout (image-spec
 * 1.1, image-layout.md) whose names are `repository:tag`. Gives the number of tags.
 *
 * @throws ImageError when the registry fails or sends something else than was asked for
 */
export async function saveRegistry(send: SendToRegistry, directory: string): Promise<number> {
  mkdirSync(join(directory, "blobs", "sha256"), { recursive: true, mode: 0o700 });
  const manifests: object[] = [];
  for (const repository of await repositoriesOf(send)) {
    for (const tag of await tagsOf(send, repository)) {
      const saved = await saveManifest({ send, directory, repository }, tag, 0);
      // Somebody may delete a tag while others are being saved.
      if (saved === undefined) continue;
      manifests.push({ ...saved, annotations: { [REF_NAME]: `${repository}:${tag}` } });
    }
  }
  writeFileSync(join(directory, LAYOUT_FILE), JSON.stringify(LAYOUT_VERSION));
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  writeFileSync(join(directory, "index.json"), JSON.stringify(index));
  return manifests.length;
}

/**
 * Pushes every image of a directory that {@link saveRegistry} wrote. Gives the number of tags.
 *
 * @throws ImageError when the directory is something else or damaged, or the registry refuses
 */
export async function restoreRegistry(directory: string, send: SendToRegistry): Promise<number> {
  const path = join(directory, "index.json");
  if (!existsSync(path)) {
    throw new ImageError("unsupported", `${directory} is no OCI image layout: no index.json`);
  }
  const index = parseManifest(readFileSync(path), OCI_INDEX);
  const manifests = index.type === "index" ? index.manifests : [];
  for (const descriptor of manifests) {
    const name = descriptor.annotations?.[REF_NAME] ?? "";
    const colon = name.lastIndexOf(":");
    if (colon < 1) {
      throw new ImageError("unsupported", `${path}: ${descriptor.digest} has no name with a tag`);
    }
    const place = { send, directory, repository: name.slice(0, colon) };
    await restoreManifest(place, descriptor, { tag: name.slice(colon + 1), depth: 0 });
  }
  return manifests.length;
}

async function repositoriesOf(send: SendToRegistry): Promise<string[]> {
  return pages(REPOSITORIES_A_PAGE, async (query) => {
    const what = "listing the repositories";
    return (await ask(send, `/v2/_catalog?${query}`, what, catalogSchema)).repositories;
  });
}

async function tagsOf(send: SendToRegistry, repository: string): Promise<string[]> {
  return pages(TAGS_A_PAGE, async (query) => {
    const what = `listing the tags of ${repository}`;
    return (await ask(send, `/v2/${repository}/tags/list?${query}`, what, tagsSchema)).tags;
  });
}

async function ask<T extends z.ZodType>(
  send: SendToRegistry,
  path: string,
  what: string,
  answer: T,
): Promise<z.infer<T>> {
  const response = await send(path, {});
  await expectSuccess(response, what);
  const parsed = answer.safeParse(await response.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  throw new ImageError("unsupported", `${what}: the registry answered something else`);
}

/** Pages of the distribution API go on after the last name of the one before. */
async function pages(
  limit: number,
  fetchPage: (query: URLSearchParams) => Promise<string[]>,
): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const last = all.at(-1);
    const after = last === undefined ? {} : { last };
    const page = await fetchPage(new URLSearchParams({ n: String(limit), ...after }));
    all.push(...page);
    if (page.length < limit) return all;
  }
}

interface BackupPlace {
  readonly send: SendToRegistry;
  readonly directory: string;
  readonly repository: string;
}

/** What a manifest needs comes first: one that stands in the directory is whole. */
async function saveManifest(
  place: BackupPlace,
  reference: string,
  depth: number,
): Promise<SavedManifest | undefined> {
  const { send, directory, repository } = place;
  const response = await send(`/v2/${repository}/manifests/${reference}`, {
    headers: { Accept: MANIFEST_TYPES.join(", ") },
  });
  if (response.status === 404 && depth === 0) {
    await response.body?.cancel();
    return undefined;
  }
  await expectSuccess(response, `reading ${repository}:${reference}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  const manifest = parseManifest(bytes, type);
  for (const needed of referencesOf(manifest)) {
    if ((needed.urls ?? []).length > 0) continue;
    if (manifest.type === "image") await saveBlob(place, needed.digest);
    else await saveChild(place, needed.digest, depth + 1);
  }
  const digest = sha256Of(bytes);
  writeFileSync(join(directory, blobPath(digest)), bytes);
  return { mediaType: manifest.mediaType ?? type ?? OCI_MANIFEST, digest, size: bytes.length };
}

async function saveChild(place: BackupPlace, digest: string, depth: number): Promise<void> {
  if (depth > MAX_INDEX_DEPTH) throw new ImageError("unsupported", "indexes inside each other");
  await saveManifest(place, digest, depth);
}

async function saveBlob(place: BackupPlace, digest: string): Promise<void> {
  const { send, directory, repository } = place;
  const path = join(directory, blobPath(digest));
  if (existsSync(path)) return;
  const response = await send(`/v2/${repository}/blobs/${digest}`, {});
  await expectSuccess(response, `reading blob ${digest} of ${repository}`);
  const partial = `${path}.partial`;
  const file = await open(partial, "w", 0o600);
  const hash = createHash("sha256");
  try {
    for await (const piece of response.body ?? []) {
      hash.update(piece);
      await file.write(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== digest) {
    throw new ImageError("digest-mismatch", `blob ${digest} came with digest ${actual}`);
  }
  await rename(partial, path);
}

async function restoreManifest(
  place: BackupPlace,
  { digest, mediaType }: Pick<Descriptor, "digest" | "mediaType">,
  { tag, depth }: { readonly tag?: string; readonly depth: number },
): Promise<void> {
  if (depth > MAX_INDEX_DEPTH) throw new ImageError("unsupported", "indexes inside each other");
  const { send, directory, repository } = place;
  const bytes = new Uint8Array(await readFile(join(directory, blobPath(digest))));
  if (sha256Of(bytes) !== digest) {
    throw new ImageError("digest-mismatch", `${digest} of ${directory} is damaged`);
  }
  const manifest = parseManifest(bytes, mediaType);
  for (const needed of referencesOf(manifest)) {
    if ((needed.urls ?? []).length > 0) continue;
    if (manifest.type === "index") await restoreManifest(place, needed, { depth: depth + 1 });
    else await pushFile(send, repository, needed.digest, join(directory, blobPath(needed.digest)));
  }
  const response = await send(`/v2/${repository}/manifests/${tag ?? digest}`, {
    method: "PUT",
    headers: { "Content-Type": mediaType },
    body: bytes,
  });
  await expectSuccess(response, `storing ${repository}:${tag ?? digest}`);
  await response.body?.cancel();
}
