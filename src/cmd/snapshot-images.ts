import { existsSync, renameSync, rmSync } from "node:fs";
import { clusterSender, CommandError } from "../cli/index.ts";
import {
  createDistributionApp,
  ImageError,
  openImageStore,
  restoreRegistry,
  saveRegistry,
} from "../images/index.ts";
import type { SendToRegistry } from "../images/index.ts";
import { createLogger, systemClock } from "../os/index.ts";
import type { DataDirectory } from "./data-directory.ts";
import type { AdminConnection } from "./join-connection.ts";

const LOCAL_REGISTRY = "http://localhost";

/** Where the images of a snapshot are: an OCI image layout that other tools read too. */
export function imagesPathOf(snapshot: string): string {
  return `${snapshot}.images`;
}

/**
 * Saves what was pushed to the cluster beside its snapshot; images that were only pulled from
 * elsewhere are pulled again. Gives the number of names.
 *
 * @throws CommandError when the registry does not give all of them
 */
export async function saveImages(
  snapshot: string,
  from: AdminConnection | DataDirectory,
): Promise<number> {
  const path = imagesPathOf(snapshot);
  const partial = `${path}.partial`;
  try {
    const save = (send: SendToRegistry): Promise<number> => saveRegistry(send, partial);
    const count = await told(() =>
      "client" in from ? save(clusterSender(from)) : atRest(from, save),
    );
    renameSync(partial, path);
    return count;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/**
 * Gives a directory the images that were saved with a snapshot. Gives the number of names.
 *
 * @throws CommandError when they are damaged
 */
export async function restoreImages(snapshot: string, directory: DataDirectory): Promise<number> {
  const path = imagesPathOf(snapshot);
  if (!existsSync(path)) return 0;
  return told(() => atRest(directory, (send) => restoreRegistry(path, send)));
}

/** The registry of a directory whose server does not run, by the protocol it would speak. */
async function atRest<T>(
  { images: directory }: DataDirectory,
  work: (send: SendToRegistry) => Promise<T>,
): Promise<T> {
  const logger = createLogger({ level: "warn" });
  const images = openImageStore({ directory, clock: systemClock, logger });
  const app = createDistributionApp({ images, authorize: () => "allow" });
  try {
    return await work(async (path, request) =>
      app.fetch(new Request(new URL(path, LOCAL_REGISTRY), request)),
    );
  } finally {
    await images.close();
  }
}

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new CommandError(`the images of the cluster's registry: ${error.message}`);
  }
}
