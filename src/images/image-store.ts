import type { Hono } from "hono";
import type { Clock, Logger } from "../lib/index.ts";
import type { Images } from "./image.ts";

export interface ImageStoreOptions {
  readonly directory: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface ImageStore extends Images {
  close(): Promise<void>;
}

export function openImageStore(_options: ImageStoreOptions): ImageStore {
  throw new Error("not available yet");
}

export interface DistributionOptions {
  readonly images: ImageStore;
  readonly authorize: (request: Request) => "allow" | "unauthenticated" | "forbidden";
}

export function createDistributionApp(_options: DistributionOptions): Hono {
  throw new Error("not available yet");
}
