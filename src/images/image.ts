import type { Reference } from "./reference.ts";

/** The parts of an image's configuration that decide how its process starts (OCI image config). */
export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** `NAME=value` strings. */
  readonly env?: readonly string[];
  readonly workingDir?: string;
  /** TCP ports that a WebAssembly program listens on where its container names none. */
  readonly ports?: readonly number[];
}

/** An image that is on this machine, ready to run. */
export interface ResolvedImage {
  /** As the user wrote it. */
  readonly reference: string;
  /** `sha256:…` of the manifest, after the choice of a platform. */
  readonly digest: string;
  /** `oci`: only manifest and configuration are here; the container runtime fetches its layers. */
  readonly kind: "wasm" | "oci";
  /** File of the WebAssembly module or component; present exactly for `wasm`. */
  readonly modulePath?: string;
  readonly config: ImageConfig;
  /** Of manifest, configuration and layers together. */
  readonly sizeBytes: number;
}

/** Credentials for one pull, as an imagePullSecret carries them. */
export type RegistryAuth =
  | { readonly username: string; readonly password: string }
  | { readonly token: string };

export interface PullProgress {
  readonly digest: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

export interface PullOptions {
  readonly auth?: RegistryAuth;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
}

export interface PushModuleOptions {
  /** Annotations for the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The images of one node: what the runtime and the command line need of them. */
export interface Images {
  /**
   * Makes the image available here: the cluster's own registry first when the name has no registry
   * host, then that host (docker.io by default). Throws {@link ImageError}.
   */
  pull(reference: string | Reference, options: PullOptions): Promise<ResolvedImage>;
  /** The image when it is here already and ready to run. Throws ImageError `invalid-reference`. */
  get(reference: string | Reference): ResolvedImage | undefined;
  /** Every tagged or pulled image that is ready to run. */
  list(): readonly ResolvedImage[];
  /** Forgets the name, and the content nobody else names. False when it was not here. */
  remove(reference: string | Reference): Promise<boolean>;
  /** Stores a WebAssembly module or component as an OCI artifact of the cluster's registry. */
  pushModule(
    reference: string | Reference,
    bytes: Uint8Array,
    options?: PushModuleOptions,
  ): Promise<ResolvedImage>;
}
