import { existsSync, readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import {
  describeBinary,
  describeImage,
  fetchContent,
  ImageError,
  isOciLayout,
  outgoingFetch,
  parseReference,
  pushContent,
  readOciLayout,
  RegistrySession,
  remoteReference,
  writeOciLayout,
} from "../images/index.ts";
import type { ImageContent, ImageDescription, Reference, SendToRegistry } from "../images/index.ts";
import type { Fetch } from "../lib/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import type { DataDirOption } from "./group-commands.ts";
import type { ArtifactOptions, ImageVerbs } from "./image-commands.ts";
import { artifactOf, clusterSender, describeImages, listImages, pushToCluster } from "./image.ts";
import { imageJson, imageText, imageWarnings } from "./image-report.ts";
import { registryCredentials } from "./registry-credentials.ts";
import { CommandError } from "./usage-error.ts";

const MAX_MODULE_FILE_BYTES = 256 * 1024 * 1024;

export interface ImageVerbOptions {
  /** Throws when no cluster runs; only asked for what is of the cluster's registry. */
  readonly connect: (options: DataDirOption) => ClusterConnection;
  readonly write: (text: string) => void;
  /** Where warnings go: standard error. */
  readonly warn: (text: string) => void;
  /** Path of a Docker configuration with credentials; it need not be there. */
  readonly dockerConfig: string;
  /** How other registries are reached; over the network unless given. */
  readonly fetch?: Fetch;
}

/** The verbs of `kubun image`. */
export function imageVerbs(options: ImageVerbOptions): ImageVerbs {
  const { connect, write, warn } = options;
  return {
    async imageBuild(file, { output, tag, ...artifact }) {
      const content = artifactOf(readModule(file), artifact);
      const path = output ?? `${basename(file).replace(/\.wasm$/, "")}.oci`;
      warn(imageWarnings(describeImage(content)));
      await writeOciLayout(path, content, tag === undefined ? {} : { tag });
      write(`wrote ${path} (${content.manifest.digest})\n`);
    },
    async imagePush(file, name, { dataDir, ...artifact }) {
      const reference = parseReference(name);
      const content = await readImage(file, artifact);
      warn(imageWarnings(describeImage(content)));
      if (reference.host === undefined) {
        await pushToCluster(connect({ dataDir }), reference, content);
      } else {
        const send = await outsideSender(options, reference, { actions: "pull,push" });
        await pushContent(send, remoteReference(reference), content);
      }
      write(`pushed ${name} (${content.manifest.digest})\n`);
    },
    async imageInspect(what, { dataDir, output }) {
      const image = await describe(options, what, { dataDir });
      warn(imageWarnings(image));
      write(output === "json" ? imageJson(what, image) : imageText(what, image));
    },
    async imageList(given) {
      write(describeImages(await listImages(connect(given))));
    },
  };
}

/** A file when there is one of that name, else an image of the cluster's or another registry. */
async function describe(
  options: ImageVerbOptions,
  what: string,
  where: DataDirOption,
): Promise<ImageDescription> {
  if (isOciLayout(what)) return describeImage(await readOciLayout(what));
  if (existsSync(what)) {
    const bytes = readModule(what);
    try {
      return describeBinary(bytes);
    } catch (error) {
      throw error instanceof ImageError ? new CommandError(`${what} is ${error.message}`) : error;
    }
  }
  if (/^[./]|\.(wasm|tar|oci)$/.test(what)) throw new CommandError(`there is no file ${what}`);
  const reference = parseReference(what);
  if (reference.host === undefined) {
    return describeImage(await fetchContent(clusterSender(options.connect(where)), reference));
  }
  const send = await outsideSender(options, reference, { actions: "pull" });
  return describeImage(await fetchContent(send, remoteReference(reference)));
}

async function readImage(file: string, artifact: ArtifactOptions): Promise<ImageContent> {
  if (!isOciLayout(file)) return artifactOf(readModule(file), artifact);
  if (Object.keys(artifact.annotations).length > 0 || artifact.target !== undefined) {
    throw new CommandError(`${file} is an image already: annotations are given when it is built`);
  }
  return readOciLayout(file);
}

function readModule(file: string): Uint8Array {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new CommandError(`there is no file ${file}`);
  if (!stat.isFile()) throw new CommandError(`${file} is neither a file nor an OCI image layout`);
  if (stat.size > MAX_MODULE_FILE_BYTES) {
    throw new CommandError(`${file} has ${stat.size} bytes of ${MAX_MODULE_FILE_BYTES} allowed`);
  }
  return readFileSync(file);
}

async function outsideSender(
  options: ImageVerbOptions,
  reference: Reference,
  { actions }: { readonly actions: "pull" | "pull,push" },
): Promise<SendToRegistry> {
  const remote = remoteReference(reference);
  const { dockerConfig, fetch = outgoingFetch } = options;
  const auth = existsSync(dockerConfig)
    ? await registryCredentials(remote.host, readFileSync(dockerConfig, "utf8"), askHelper)
    : undefined;
  const session = new RegistrySession({
    reference: remote,
    fetch: (request) => reached(fetch, request, remote.host),
    ...(auth === undefined ? {} : { auth }),
    actions,
  });
  return (path, request) => session.send(path, request);
}

async function reached(fetch: Fetch, request: Request, host: string): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`registry ${host} cannot be reached: ${why}`, { cause: error });
  }
}

/** The protocol of Docker's credential helpers: the registry on standard input, JSON back. */
async function askHelper(program: string, registry: string): Promise<string | undefined> {
  if (Bun.which(program) === null) return undefined;
  const child = Bun.spawn([program, "get"], {
    stdin: new Blob([registry]),
    stdout: "pipe",
    stderr: "ignore",
  });
  const answer = await new Response(child.stdout).text();
  return (await child.exited) === 0 ? answer : undefined;
}
