export { ImageError } from "./image-error.ts";
export type { ImageErrorCode } from "./image-error.ts";
export type {
  ImageConfig,
  Images,
  PullOptions,
  PullProgress,
  PushModuleOptions,
  RegistryAuth,
  ResolvedImage,
} from "./image.ts";
export { createDistributionApp, openImageStore } from "./image-store.ts";
export type { DistributionOptions, ImageStore, ImageStoreOptions } from "./image-store.ts";
export { formatReference, parseReference, remoteReference } from "./reference.ts";
export type { Reference } from "./reference.ts";
