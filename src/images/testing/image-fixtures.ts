import { packTar } from "modern-tar";
import { sha256Of } from "../blob-store.ts";
import { OCI_MANIFEST } from "../media-types.ts";

/** The smallest WebAssembly module: magic and version. */
export const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
/** The same for a component. */
export const EMPTY_COMPONENT = new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);

export type Send = (request: Request) => Response | Promise<Response>;

export interface Part {
  readonly mediaType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(JSON.stringify(value)));
}

export async function pushBlob(send: Send, repository: string, bytes: BodyInit, digest: string) {
  const url = `http://registry.test/v2/${repository}/blobs/uploads/?digest=${digest}`;
  return send(new Request(url, { method: "POST", body: bytes }));
}

/** Pushes blobs and an image manifest over them; answers the manifest's digest. */
export async function pushImage(
  send: Send,
  name: { repository: string; reference: string },
  config: Part,
  layers: readonly Part[],
): Promise<string> {
  for (const part of [config, ...layers]) {
    const answer = await pushBlob(send, name.repository, part.bytes, sha256Of(part.bytes));
    if (answer.status !== 201) throw new Error(`blob: ${answer.status} ${await answer.text()}`);
  }
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
  });
  await pushManifest(send, name, { mediaType: OCI_MANIFEST, bytes: manifest });
  return sha256Of(manifest);
}

export async function pushManifest(
  send: Send,
  name: { repository: string; reference: string },
  manifest: Part,
): Promise<void> {
  const reference = name.reference === "" ? sha256Of(manifest.bytes) : name.reference;
  const url = `http://registry.test/v2/${name.repository}/manifests/${reference}`;
  const headers = { "Content-Type": manifest.mediaType };
  const answer = await send(new Request(url, { method: "PUT", body: manifest.bytes, headers }));
  if (answer.status !== 201) throw new Error(`manifest: ${answer.status} ${await answer.text()}`);
}

export function descriptorOf(part: Part) {
  return { mediaType: part.mediaType, digest: sha256Of(part.bytes), size: part.bytes.length };
}

/** One entry of a layer: a file's content, or where a link points. */
export type LayerEntry =
  | { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly name: string; readonly symlink: string };

/** A gzipped tar layer. */
export async function layerOf(entries: readonly LayerEntry[]): Promise<Part> {
  const tar = await packTar(
    entries.map((entry) =>
      "bytes" in entry
        ? {
            header: { name: entry.name, size: entry.bytes.length, type: "file" as const },
            body: entry.bytes,
          }
        : {
            header: {
              name: entry.name,
              size: 0,
              type: "symlink" as const,
              linkname: entry.symlink,
            },
          },
    ),
  );
  return {
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    bytes: new Uint8Array(Bun.gzipSync(tar)),
  };
}

export function wasiConfig(entrypoint: readonly string[]): Part {
  return {
    mediaType: "application/vnd.oci.image.config.v1+json",
    bytes: json({
      architecture: "wasm",
      os: "wasi",
      config: { Entrypoint: entrypoint, Env: ["A=b"] },
    }),
  };
}
