import { createHash } from "node:crypto";
import { packTar } from "modern-tar";
import { type PauseArchitecture, pauseProgram } from "./pause-program.ts";

/** Under this name our containerd finds the image of pods themselves; no registry has it. */
export const PAUSE_IMAGE = "kubun.internal/pause:1";

const PROGRAM = "pause";

/** An archive with {@link PAUSE_IMAGE} in the OCI image layout, the same bytes each time. */
export async function pauseImageArchive(architecture: PauseArchitecture): Promise<Uint8Array> {
  const program = pauseProgram(architecture);
  const layer = await packTar([
    {
      header: { name: PROGRAM, size: program.length, mode: 0o755, mtime: new Date(0) },
      body: program,
    },
  ]);
  const config = json({
    architecture,
    os: "linux",
    config: { Entrypoint: [`/${PROGRAM}`], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
        platform: { architecture, os: "linux" },
        annotations: { "io.containerd.image.name": PAUSE_IMAGE },
      },
    ],
  });
  const files: readonly (readonly [string, Uint8Array])[] = [
    ["oci-layout", json({ imageLayoutVersion: "1.0.0" })],
    ...[layer, config, manifest].map((blob) => [blobName(blob), blob] as const),
    ["index.json", index],
  ];
  return packTar(
    files.map(([name, body]) => ({
      header: { name, size: body.length, mode: 0o644, mtime: new Date(0) },
      body,
    })),
  );
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function digestOf(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function descriptor(mediaType: string, content: Uint8Array) {
  return { mediaType, digest: digestOf(content), size: content.length };
}

function blobName(content: Uint8Array): string {
  return `blobs/${digestOf(content).replace(":", "/")}`;
}
