export { createDistributionApp } from "./distribution/distribution-app.ts";
export type { Authorization, DistributionOptions } from "./distribution/distribution-app.ts";
export type { GarbageReport } from "./garbage.ts";
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
export { createImageReplication, REPLICATION_PATH } from "./image-replication.ts";
export type { ImagePeer, ImageReplication, ImageReplicationOptions } from "./image-replication.ts";
export { openImageStore } from "./image-store.ts";
export type { ImageStore, ImageStoreOptions } from "./image-store.ts";
export { formatReference, parseReference } from "./reference.ts";
export type { Reference } from "./reference.ts";
export { DEFAULT_PORT } from "./listening-ports.ts";
export { importAdvice } from "./import-advice.ts";
export type { ImportAdvice } from "./import-advice.ts";
export { wasmArtifact } from "./wasm-artifact.ts";
export type { ArtifactBlob, WasmArtifact, WasmArtifactOptions } from "./wasm-artifact.ts";
export { inspectWasm } from "./wasm-inspection.ts";
export type { WasmInspection } from "./wasm-inspection.ts";
export { describeBinary, describeImage } from "./describe-image.ts";
export type { ImageDescription } from "./describe-image.ts";
export { fetchContent } from "./fetch-content.ts";
export { isOciLayout, readOciLayout, writeOciLayout } from "./oci-layout.ts";
export { outgoingFetch } from "./outgoing-fetch.ts";
export { pushContent } from "./push-content.ts";
export type { SendToRegistry } from "./push-content.ts";
export { remoteReference } from "./reference.ts";
export { restoreRegistry, saveRegistry } from "./registry-backup.ts";
export { RegistrySession } from "./registry-session.ts";
export type { RegistryRequest, RegistrySessionOptions } from "./registry-session.ts";
export type { ImageContent } from "./wasm-artifact.ts";
