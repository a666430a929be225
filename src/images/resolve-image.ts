import { z } from "zod";
import type { BlobStore } from "./blob-store.ts";
import type { ContentSource } from "./content-source.ts";
import type { ImageConfig } from "./image.ts";
import { ImageError } from "./image-error.ts";
import { extractLayerFile, MAX_MODULE_BYTES, type Layer } from "./layer-file.ts";
import { parseManifest, type Descriptor, type ImageManifest } from "./manifest.ts";
import { SPIN_APPLICATION, TAR_LAYERS, WASM_CONFIG, WASM_LAYERS } from "./media-types.ts";
import { listeningPorts } from "./listening-ports.ts";
import { choosePlatform, isWasmPlatform } from "./platform.ts";
import { checkSpinComponent, spinApplication } from "./spin-application.ts";
import { wasmBinaryKind } from "./wasm-binary.ts";
import { inspectWasm } from "./wasm-inspection.ts";

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
const MAX_INDEX_DEPTH = 3;

const strings = z.array(z.string()).nullish();
const configSchema = z.looseObject({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .looseObject({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      WorkingDir: z.string().nullish(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});

/** What an image turned out to be; kept on disk, so that it is found out once. */
export const resolutionSchema = z.object({
  /** Of the manifest that was chosen; the image's own digest may be that of an index. */
  manifest: z.string(),
  kind: z.enum(["wasm", "oci"]),
  module: z.string().optional(),
  config: z.object({
    entrypoint: z.array(z.string()).optional(),
    cmd: z.array(z.string()).optional(),
    env: z.array(z.string()).optional(),
    workingDir: z.string().optional(),
    ports: z.array(z.number()).optional(),
  }),
  sizeBytes: z.number(),
  /** Blobs that have to stay for it. */
  blobs: z.array(z.string()),
});

export interface Resolution {
  readonly manifest: string;
  readonly kind: "wasm" | "oci";
  readonly module?: string;
  readonly config: ImageConfig;
  readonly sizeBytes: number;
  readonly blobs: readonly string[];
}

/**
 * Finds out what an image is and brings what a WebAssembly one needs into the blob store. Throws
 * ImageError `unsupported` for content that cannot be run, besides the source's own errors.
 */
export async function resolveImage(
  source: ContentSource,
  blobs: BlobStore,
  reference: string,
  options: { architecture: string },
): Promise<{ digest: string; resolution: Resolution }> {
  const kept: string[] = [];
  let next = reference;
  let top: string | undefined;
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
    const { digest, bytes, mediaType } = await source.manifest(next);
    top ??= digest;
    kept.push(await blobs.put(bytes));
    const manifest = parseManifest(bytes, mediaType);
    if (manifest.type === "image") {
      const found = await resolveManifest(source, blobs, manifest);
      const sizeBytes = manifest.layers.reduce(
        (sum, layer) => sum + layer.size,
        bytes.length + manifest.config.size,
      );
      const resolution = {
        ...found,
        manifest: digest,
        sizeBytes,
        blobs: [...kept, ...found.blobs],
      };
      return { digest: top, resolution };
    }
    const chosen = choosePlatform(manifest.manifests, options.architecture);
    if (chosen === undefined) {
      const platforms = manifest.manifests.map(
        ({ platform }) => `${platform?.os ?? "?"}/${platform?.architecture ?? "?"}`,
      );
      const wanted = `wasi/wasm or linux/${options.architecture}`;
      throw new ImageError("unsupported", `no ${wanted} image, only ${platforms.join(", ")}`);
    }
    next = chosen.digest;
  }
  throw new ImageError("unsupported", "image indexes inside each other");
}

type Found = Pick<Resolution, "kind" | "module" | "config" | "blobs">;

async function resolveManifest(
  source: ContentSource,
  blobs: BlobStore,
  manifest: ImageManifest,
): Promise<Found> {
  await source.fetchBlob(manifest.config);
  const spin = [...manifest.layers, manifest.config].find(
    ({ mediaType }) => mediaType === SPIN_APPLICATION,
  );
  if (spin !== undefined) return resolveSpin(source, blobs, manifest, spin);
  const isArtifact = manifest.config.mediaType === WASM_CONFIG;
  const wasmLayers = manifest.layers.filter((layer) => WASM_LAYERS.has(layer.mediaType));
  const [wasmLayer] = wasmLayers;
  const config = await readConfig(blobs, manifest.config);
  if (isArtifact && wasmLayers.length > 1) {
    const what = `a ${WASM_CONFIG} artifact with ${wasmLayers.length} wasm layers`;
    throw new ImageError("unsupported", `${what}: compose them into one component`);
  }
  if (wasmLayer !== undefined) {
    await source.fetchBlob(wasmLayer);
    await checkModule(blobs, wasmLayer.digest);
    const kept = [manifest.config.digest, wasmLayer.digest];
    const image = withPorts(blobs, wasmLayer.digest, config);
    return { kind: "wasm", module: wasmLayer.digest, config: image, blobs: kept };
  }
  if (isArtifact) {
    throw new ImageError("unsupported", `a ${WASM_CONFIG} artifact without a wasm layer`);
  }
  if (!isWasmPlatform(config.os, config.architecture)) {
    return { kind: "oci", config: config.image, blobs: [manifest.config.digest] };
  }
  const layers = await fetchLayers(source, manifest);
  const module = await extractLayerFile(blobs, layers, entrypointPath(config.image));
  await checkModule(blobs, module);
  const kept = [manifest.config.digest, ...layers.map((layer) => layer.digest), module];
  return { kind: "wasm", module, config: withPorts(blobs, module, config), blobs: kept };
}

/** An application that Spin pushed: the layer of its one component is the module. */
async function resolveSpin(
  source: ContentSource,
  blobs: BlobStore,
  manifest: ImageManifest,
  locked: Descriptor,
): Promise<Found> {
  await source.fetchBlob(locked);
  const application = spinApplication(await blobs.read(locked.digest, MAX_CONFIG_BYTES));
  const layer = manifest.layers.find(({ digest }) => digest === application.wasmDigest);
  if (layer === undefined) {
    const digest = application.wasmDigest;
    throw new ImageError("unsupported", `a Spin application without its layer ${digest}`);
  }
  await source.fetchBlob(layer);
  await checkModule(blobs, layer.digest);
  checkSpinComponent(inspectWasm(await blobs.read(layer.digest, MAX_MODULE_BYTES)));
  const kept = [manifest.config.digest, locked.digest, layer.digest];
  const { env } = application;
  const image = env.length === 0 ? {} : { env };
  const config = withPorts(blobs, layer.digest, { image, exposed: [] });
  return { kind: "wasm", module: layer.digest, config, blobs: kept };
}

async function fetchLayers(source: ContentSource, manifest: ImageManifest): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const layer of manifest.layers) {
    const compression = TAR_LAYERS.get(layer.mediaType);
    if (compression === undefined) {
      throw new ImageError("unsupported", `layer media type ${layer.mediaType} is not understood`);
    }
    await source.fetchBlob(layer);
    layers.push({ digest: layer.digest, compression });
  }
  return layers;
}

function entrypointPath(config: ImageConfig): string {
  const program = config.entrypoint?.[0] ?? config.cmd?.[0];
  if (program === undefined) {
    throw new ImageError("unsupported", "a WebAssembly image needs an entrypoint or command");
  }
  return program.startsWith("/") ? program : `${config.workingDir ?? "/"}/${program}`;
}

interface ReadConfig {
  readonly os?: string;
  readonly architecture?: string;
  readonly image: ImageConfig;
  /** As OCI writes them: `8080/tcp`. */
  readonly exposed: readonly string[];
}

async function readConfig(blobs: BlobStore, descriptor: Descriptor): Promise<ReadConfig> {
  const text = (await blobs.read(descriptor.digest, MAX_CONFIG_BYTES)).toString("utf8");
  const parsed = configSchema.safeParse(safeJson(text));
  // Artifacts other than images may have any configuration, an empty one included.
  if (!parsed.success) return { image: {}, exposed: [] };
  const { os, architecture, config } = parsed.data;
  const { Entrypoint: entrypoint, Cmd: cmd, Env: env, WorkingDir: workingDir } = config ?? {};
  return {
    ...(os === undefined ? {} : { os }),
    ...(architecture === undefined ? {} : { architecture }),
    image: {
      ...(entrypoint == null ? {} : { entrypoint }),
      ...(cmd == null ? {} : { cmd }),
      ...(env == null ? {} : { env }),
      ...(workingDir == null || workingDir === "" ? {} : { workingDir }),
    },
    exposed: Object.keys(config?.ExposedPorts ?? {}),
  };
}

/** The module is mapped, not read: its names are a small part of it. */
function withPorts(
  blobs: BlobStore,
  module: string,
  { image, exposed }: Pick<ReadConfig, "image" | "exposed">,
): ImageConfig {
  const ports = listeningPorts(Bun.mmap(blobs.pathOf(module)), exposed);
  return ports.length === 0 ? image : { ...image, ports };
}

async function checkModule(blobs: BlobStore, digest: string): Promise<void> {
  const head = await Bun.file(blobs.pathOf(digest)).slice(0, 8).bytes();
  if (wasmBinaryKind(head) === undefined) {
    throw new ImageError("unsupported", `${digest} is not a WebAssembly module or component`);
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
