import { createTarDecoder } from "modern-tar";
import type { BlobStore } from "./blob-store.ts";
import { ImageError } from "./image-error.ts";

/** A module inside an image layer may have so many bytes. */
export const MAX_MODULE_BYTES = 256 * 1024 * 1024;
/** Bytes of all layers together that are read, decompressed, in search of it. */
export const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;
const MAX_LINKS = 8;

export interface Layer {
  readonly digest: string;
  readonly compression: "none" | "gzip";
}

type Found =
  | { readonly type: "blob"; readonly digest: string }
  | { readonly type: "link"; readonly target: string }
  | { readonly type: "removed" }
  | { readonly type: "absent" };

/**
 * Copies one file of an image into the blob store and answers its digest. Layers are read from the
 * last to the first, and nothing is ever unpacked to a path of the archive's choosing: links are
 * followed by name inside the image only.
 */
export async function extractLayerFile(
  blobs: BlobStore,
  layers: readonly Layer[],
  path: string,
): Promise<string> {
  let wanted = normalPath(path);
  const budget = { leftBytes: MAX_UNPACKED_BYTES };
  for (let links = 0; links <= MAX_LINKS; links++) {
    const found = await findInLayers(blobs, layers, wanted, budget);
    if (found.type === "blob") return found.digest;
    if (found.type !== "link") {
      throw new ImageError("unsupported", `the image has no file ${wanted}, its entrypoint`);
    }
    wanted = found.target;
  }
  throw new ImageError("unsupported", `entrypoint ${path} is behind too many links`);
}

async function findInLayers(
  blobs: BlobStore,
  layers: readonly Layer[],
  wanted: string,
  budget: { leftBytes: number },
): Promise<Found> {
  for (const layer of layers.toReversed()) {
    const found = await findInLayer(blobs, layer, wanted, budget);
    if (found.type !== "absent") return found;
  }
  return { type: "absent" };
}

async function findInLayer(
  blobs: BlobStore,
  layer: Layer,
  wanted: string,
  budget: { leftBytes: number },
): Promise<Found> {
  const raw: ReadableStream<Uint8Array> = Bun.file(blobs.pathOf(layer.digest)).stream();
  const plain = layer.compression === "gzip" ? raw.pipeThrough(gunzip()) : raw;
  const entries = plain.pipeThrough(limit(budget)).pipeThrough(createTarDecoder());
  const [whiteout, opaque] = whiteoutsOf(wanted);
  let removed = false;
  for await (const { header, body } of entries) {
    const name = normalPath(header.name);
    if (name === whiteout || opaque.has(name)) removed = true;
    if (name !== wanted) {
      await body.cancel();
      continue;
    }
    const { type, linkname = "" } = header;
    if (type === "symlink") return { type: "link", target: linkTarget(wanted, linkname) };
    if (type === "link") return { type: "link", target: normalPath(linkname) };
    if (type === "file") {
      if (header.size > MAX_MODULE_BYTES) {
        throw new ImageError("too-large", `${wanted} has more than ${MAX_MODULE_BYTES} bytes`);
      }
      return { type: "blob", digest: await copy(blobs, body) };
    }
    await body.cancel();
  }
  return removed ? { type: "removed" } : { type: "absent" };
}

async function copy(blobs: BlobStore, body: ReadableStream<Uint8Array>): Promise<string> {
  const writer = await blobs.begin(MAX_MODULE_BYTES);
  try {
    await writer.appendAll(body);
    return (await writer.commit()).digest;
  } finally {
    await writer.discard();
  }
}

function gunzip(): ReadableWritablePair<Uint8Array, Uint8Array> {
  const { readable, writable } = new DecompressionStream("gzip");
  return { readable, writable: writable as WritableStream<Uint8Array> };
}

function limit(budget: { leftBytes: number }): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      budget.leftBytes -= chunk.length;
      if (budget.leftBytes < 0) {
        throw new ImageError("too-large", `layers unpack to more than ${MAX_UNPACKED_BYTES} bytes`);
      }
      controller.enqueue(chunk);
    },
  });
}

/** Absolute, without `.` and `..`; `..` at the top stays at the top. */
export function normalPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") kept.pop();
    else if (part !== "" && part !== ".") kept.push(part);
  }
  return `/${kept.join("/")}`;
}

function linkTarget(from: string, target: string): string {
  return normalPath(target.startsWith("/") ? target : `${from}/../${target}`);
}

/** Names that say in a layer that a file of the layers below is gone (OCI image spec, layers). */
function whiteoutsOf(path: string): [string, ReadonlySet<string>] {
  const parts = path.split("/").slice(1);
  const parents = parts.slice(0, -1).map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
  const folder = parents.at(-1) ?? "";
  const gone = parents.map((parent) => {
    const slash = parent.lastIndexOf("/");
    return `${parent.slice(0, slash)}/.wh.${parent.slice(slash + 1)}`;
  });
  const opaque = ["", ...parents].map((parent) => `${parent}/.wh..wh..opq`);
  return [`${folder}/.wh.${parts.at(-1)}`, new Set([...gone, ...opaque])];
}
