import { z } from "zod";
import { ImageError, parseReference, pushContent, wasmArtifact } from "../images/index.ts";
import type {
  ImageContent,
  Reference,
  SendToRegistry,
  WasmArtifact,
  WasmArtifactOptions,
} from "../images/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import { textTable } from "./text-table.ts";
import { CommandError } from "./usage-error.ts";

/** An image of the cluster's registry and where it is named. */
export interface ListedImage {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** Pushes a WASM module or component to the cluster's registry. Gives its digest. */
export async function pushImage(
  cluster: ClusterConnection,
  image: { reference: string; module: Uint8Array },
): Promise<string> {
  const content = artifactOf(image.module);
  return pushToCluster(cluster, parseReference(image.reference), content);
}

/** Pushes an image to the cluster's registry. Gives the digest of its manifest. */
export async function pushToCluster(
  cluster: ClusterConnection,
  reference: Reference,
  content: ImageContent,
): Promise<string> {
  try {
    await pushContent(clusterSender(cluster), reference, content);
  } catch (error) {
    throw error instanceof ImageError ? new CommandError(error.message) : error;
  }
  return content.manifest.digest;
}

/** The cluster's registry as a receiver of requests. */
export function clusterSender(cluster: Pick<ClusterConnection, "client">): SendToRegistry {
  return (path, { method, headers, body }) =>
    cluster.client.raw(path, {
      ...(method === undefined ? {} : { method }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
    });
}

/** The image of a module or component. Throws CommandError for a file that is neither. */
export function artifactOf(module: Uint8Array, options: WasmArtifactOptions = {}): WasmArtifact {
  try {
    return wasmArtifact(module, options);
  } catch (error) {
    throw error instanceof ImageError ? new CommandError(`the file is ${error.message}`) : error;
  }
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
  if (!response.ok) {
    const words = await response.text();
    throw new CommandError(`asking for ${path} failed: ${response.status} ${words}`);
  }
  const parsed = schema.safeParse(await response.json());
  if (!parsed.success) {
    throw new CommandError(`${path} answered in another form: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}
