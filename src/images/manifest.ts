import { z } from "zod";
import { ImageError } from "./image-error.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";
import { isDigest } from "./reference.ts";

/** The specification's own limit for manifests a registry has to take. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_DESCRIPTORS = 4_096;

const descriptor = z.looseObject({
  mediaType: z.string().min(1),
  digest: z.string().refine(isDigest, "must be sha256: and 64 hexadecimal digits"),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  artifactType: z.string().optional(),
  urls: z.array(z.string()).optional(),
  platform: z
    .looseObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .optional(),
});

const shared = {
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  subject: descriptor.optional(),
};

const imageSchema = z.looseObject({
  ...shared,
  config: descriptor,
  layers: z.array(descriptor).max(MAX_DESCRIPTORS),
});

const indexSchema = z.looseObject({
  ...shared,
  manifests: z.array(descriptor).max(MAX_DESCRIPTORS),
});

export type Descriptor = z.infer<typeof descriptor>;
export type ImageManifest = z.infer<typeof imageSchema> & { readonly type: "image" };
export type ImageIndex = z.infer<typeof indexSchema> & { readonly type: "index" };
export type Manifest = ImageManifest | ImageIndex;

/**
 * Reads a manifest of any kind; `contentType` as announced with it. Throws ImageError `unsupported`
 * with the reason when it is none.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const value = parseJson(bytes);
  const inside = mediaTypeIn(value);
  if (inside !== undefined && contentType !== undefined && inside !== contentType) {
    throw unsupported(`mediaType is ${inside}, but it came as ${contentType}`);
  }
  const mediaType = inside ?? contentType ?? OCI_MANIFEST;
  switch (mediaType) {
    case OCI_MANIFEST:
    case DOCKER_MANIFEST: {
      const image = imageSchema.safeParse(value);
      if (!image.success) throw unsupported(z.prettifyError(image.error));
      return { ...image.data, type: "image" };
    }
    case OCI_INDEX:
    case DOCKER_LIST: {
      const index = indexSchema.safeParse(value);
      if (!index.success) throw unsupported(z.prettifyError(index.error));
      return { ...index.data, type: "index" };
    }
    default:
      throw unsupported(`media type ${mediaType} is not an image manifest or index`);
  }
}

/** Digests a manifest needs, without its subject, which may be missing. */
export function referencesOf(manifest: Manifest): readonly Descriptor[] {
  return manifest.type === "index" ? manifest.manifests : [manifest.config, ...manifest.layers];
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw unsupported(`not JSON: ${String(error)}`);
  }
}

function mediaTypeIn(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("mediaType" in value)) return undefined;
  return typeof value.mediaType === "string" ? value.mediaType : undefined;
}

function unsupported(why: string): ImageError {
  return new ImageError("unsupported", `invalid manifest: ${why}`);
}
