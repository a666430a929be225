import { z } from "zod";
import { formatReference, ImageError, parseReference, wasmArtifact } from "../images/index.ts";
import type { Reference, WasmArtifact } from "../images/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import { textTable } from "./text-table.ts";
import { CommandError } from "./usage-error.ts";

/** An image of the cluster's registry and where it is named. */
export interface ListedImage {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** Pushes a WASM module as an OCI artifact over the distribution API. Gives its digest. */
export async function pushImage(
  cluster: ClusterConnection,
  image: { reference: string; module: Uint8Array },
): Promise<string> {
  const reference = parseReference(image.reference);
  const artifact = artifactOf(image.module);
  for (const blob of artifact.blobs) await pushBlob(cluster, reference, blob);
  const response = await cluster.client.raw(
    `/v2/${reference.repository}/manifests/${reference.tag ?? "latest"}`,
    {
      method: "PUT",
      headers: { "content-type": artifact.manifest.mediaType },
      body: artifact.manifest.bytes,
    },
  );
  await expectSuccess(response, `storing ${formatReference(reference)}`);
  return artifact.manifest.digest;
}

function artifactOf(module: Uint8Array): WasmArtifact {
  try {
    return wasmArtifact(module);
  } catch (error) {
    throw error instanceof ImageError ? new CommandError(`the file is ${error.message}`) : error;
  }
}

async function pushBlob(
  cluster: ClusterConnection,
  reference: Reference,
  blob: WasmArtifact["blobs"][number],
): Promise<void> {
  const path = `/v2/${reference.repository}/blobs`;
  const existing = await cluster.client.raw(`${path}/${blob.digest}`, { method: "HEAD" });
  if (existing.ok) return;
  const response = await cluster.client.raw(`${path}/uploads/?digest=${blob.digest}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: blob.bytes,
  });
  await expectSuccess(response, `storing blob ${blob.digest}`);
}

const catalogSchema = z.object({ repositories: z.array(z.string()) });
const tagsSchema = z.object({ tags: z.array(z.string()) });

/** Every tag of the cluster's registry, by name. */
export async function listImages(cluster: ClusterConnection): Promise<ListedImage[]> {
  const { repositories } = await getJson(cluster, "/v2/_catalog", catalogSchema);
  const images = await Promise.all(
    repositories.map(async (repository) => {
      const { tags } = await getJson(cluster, `/v2/${repository}/tags/list`, tagsSchema);
      return Promise.all(
        tags.map(async (tag) => {
          const path = `/v2/${repository}/manifests/${tag}`;
          const response = await cluster.client.raw(path, { method: "HEAD" });
          return { repository, tag, digest: response.headers.get("docker-content-digest") ?? "" };
        }),
      );
    }),
  );
  return images.flat();
}

/** What `kubun image list` prints. */
export function describeImages(images: readonly ListedImage[]): string {
  const rows = images.map((image) => [image.repository, image.tag, image.digest.slice(0, 19)]);
  return textTable(["NAME", "TAG", "DIGEST"], rows);
}

async function getJson<T>(
  cluster: ClusterConnection,
  path: string,
  schema: z.ZodType<T>,
): Promise<T> {
  const response = await cluster.client.raw(path);
  await expectSuccess(response, `asking for ${path}`);
  const parsed = schema.safeParse(await response.json());
  if (!parsed.success) {
    throw new CommandError(`${path} answered in another form: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

async function expectSuccess(response: Response, what: string): Promise<void> {
  if (response.ok) return;
  throw new CommandError(`${what} failed: ${response.status} ${await response.text()}`);
}
