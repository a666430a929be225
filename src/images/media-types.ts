export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

/** Every kind of manifest that is stored and asked for. */
export const MANIFEST_TYPES = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST] as const;

/** The configuration of a WebAssembly artifact (CNCF wasm working group's OCI artifact layout). */
export const WASM_CONFIG = "application/vnd.wasm.config.v0+json";
export const WASM_LAYER = "application/wasm";

/** Layers that are a module or component as it is, older spellings included. */
export const WASM_LAYERS: ReadonlySet<string> = new Set([
  WASM_LAYER,
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/vnd.module.wasm.content.layer.v1+wasm",
  "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
]);

/** Layers that are tar archives, by the way they are compressed. */
export const TAR_LAYERS: ReadonlyMap<string, "none" | "gzip"> = new Map([
  ["application/vnd.oci.image.layer.v1.tar", "none"],
  ["application/vnd.oci.image.layer.v1.tar+gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
]);

/** The locked application of Spin: a layer today, the configuration in its first versions. */
export const SPIN_APPLICATION = "application/vnd.fermyon.spin.application.v1+config";
