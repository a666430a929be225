import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packTar, unpackTar } from "modern-tar";
import { sha256Of } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";
import { parseManifest, referencesOf } from "./manifest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";
import type { ArtifactBlob, ImageContent } from "./wasm-artifact.ts";

/** A file of a layout that is read into memory. */
const MAX_LAYOUT_FILE_BYTES = 1024 * 1024 * 1024;
export const REF_NAME = "org.opencontainers.image.ref.name";
export const LAYOUT_FILE = "oci-layout";
export const LAYOUT_VERSION = { imageLayoutVersion: "1.0.0" };

/** Files of a layout by their path inside it. */
type LayoutFiles = readonly (readonly [path: string, bytes: Uint8Array])[];

/**
 * Writes an image as an OCI image layout (image-spec 1.1, image-layout.md): into a directory, or
 * when the path ends in `.tar` as one archive. The same image gives the same bytes.
 */
export async function writeOciLayout(
  path: string,
  content: ImageContent,
  options: { readonly tag?: string } = {},
): Promise<void> {
  const files = layoutFiles(content, options.tag);
  if (path.endsWith(".tar")) {
    const entries = files.map(([name, bytes]) => ({
      header: { name, size: bytes.length, type: "file" as const, mtime: new Date(0), mode: 0o644 },
      body: bytes,
    }));
    writeFileSync(path, await packTar(entries));
    return;
  }
  mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
}

/** index.json comes last: a layout that was not written to its end names nothing. */
function layoutFiles(content: ImageContent, tag: string | undefined): LayoutFiles {
  const { manifest, blobs } = content;
  const descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    ...(tag === undefined ? {} : { annotations: { [REF_NAME]: tag } }),
  };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] };
  return [
    [LAYOUT_FILE, json(LAYOUT_VERSION)],
    ...[...blobs, manifest].map(({ digest, bytes }) => [blobPath(digest), bytes] as const),
    ["index.json", json(index)],
  ];
}

/** True for a directory or archive that {@link readOciLayout} is for. */
export function isOciLayout(path: string): boolean {
  if (!existsSync(path)) return false;
  return path.endsWith(".tar") || existsSync(join(path, LAYOUT_FILE));
}

/**
 * Reads the one image of a layout, every digest verified. Throws ImageError `unsupported` for what
 * is no layout or has several images, `digest-mismatch` for damaged content.
 */
export async function readOciLayout(path: string): Promise<ImageContent> {
  const read = path.endsWith(".tar") ? await archiveReader(path) : directoryReader(path);
  const index = parseManifest(read("index.json"), OCI_INDEX);
  const found = index.type === "index" ? index.manifests : [];
  const [descriptor] = found;
  if (descriptor === undefined || found.length > 1) {
    throw new ImageError("unsupported", `${path} has ${found.length} images, not one`);
  }
  const manifest = blobOf(read, descriptor.digest);
  const parsed = parseManifest(manifest.bytes, descriptor.mediaType);
  if (parsed.type === "index") {
    throw new ImageError("unsupported", `${path} has an image of several platforms`);
  }
  const digests = new Set(referencesOf(parsed).map(({ digest }) => digest));
  const blobs = [...digests].map((digest) => blobOf(read, digest));
  return { manifest: { ...manifest, mediaType: parsed.mediaType ?? OCI_MANIFEST }, blobs };
}

type ReadFile = (name: string) => Uint8Array<ArrayBuffer>;

function blobOf(read: ReadFile, digest: string): ArtifactBlob {
  const bytes = read(blobPath(digest));
  const actual = sha256Of(bytes);
  if (actual === digest) return { digest, bytes };
  throw new ImageError("digest-mismatch", `blob ${digest} of the layout has digest ${actual}`);
}

function directoryReader(directory: string): ReadFile {
  return (name) => {
    const path = join(directory, name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw missing(directory, name);
    if (size > MAX_LAYOUT_FILE_BYTES) throw tooLarge(path);
    return new Uint8Array(readFileSync(path));
  };
}

async function archiveReader(path: string): Promise<ReadFile> {
  if (statSync(path).size > MAX_LAYOUT_FILE_BYTES) throw tooLarge(path);
  const entries = await unpackTar(readFileSync(path)).catch((error: unknown) => {
    throw new ImageError("unsupported", `${path} is no tar archive: ${String(error)}`);
  });
  const files = new Map(
    entries.map(({ header, data }) => [header.name.replace(/^\.\//, ""), data] as const),
  );
  return (name) => {
    const bytes = files.get(name);
    if (bytes === undefined) throw missing(path, name);
    return new Uint8Array(bytes);
  };
}

function missing(path: string, name: string): ImageError {
  return new ImageError("unsupported", `${path} is no OCI image layout: it has no ${name}`);
}

function tooLarge(path: string): ImageError {
  return new ImageError("too-large", `${path} has more than ${MAX_LAYOUT_FILE_BYTES} bytes`);
}

/** Where a layout keeps a blob. */
export function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
