import { createHash } from "node:crypto";
import { packTar, type TarEntry } from "modern-tar";

export interface ImageArchiveOptions {
  /** In full, as containerd knows it: `registry.example/name:tag`. */
  readonly name: string;
  /** `amd64` or `arm64`. */
  readonly architecture: string;
  readonly files: TarEntry[];
  /** The `config` of the image configuration: `Entrypoint`, `Env` and so on. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** An image of one layer as the blobs it is made of. */
export interface BuiltImage {
  readonly name: string;
  readonly manifest: Uint8Array;
  /** Manifest, configuration and layer by their digests. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** The same blobs each time for the same options. */
export async function buildImage(options: ImageArchiveOptions): Promise<BuiltImage> {
  const { name, architecture, files, config } = options;
  const layer = await packTar(files);
  const configuration = json({
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor("application/vnd.oci.image.config.v1+json", configuration),
    layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
  });
  const blobs = new Map([layer, configuration, manifest].map((blob) => [digestOf(blob), blob]));
  return { name, manifest, blobs };
}

/** An archive in the OCI image layout, as `ctr images import` reads it. */
export function imageArchive({ name, manifest, blobs }: BuiltImage): Promise<Uint8Array> {
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(MANIFEST_TYPE, manifest),
        annotations: { "io.containerd.image.name": name },
      },
    ],
  });
  return packTar([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    ...Array.from(blobs, ([digest, blob]) => file(`blobs/${digest.replace(":", "/")}`, blob)),
    file("index.json", index),
  ]);
}

/** A file of an archive; executable for everybody when asked for. */
export function file(name: string, body: Uint8Array, mode = 0o644): TarEntry {
  return { header: { name, size: body.length, mode, mtime: new Date(0) }, body };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function descriptor(mediaType: string, content: Uint8Array) {
  return { mediaType, digest: digestOf(content), size: content.length };
}
