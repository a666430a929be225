import { sleep, type Clock, type Fetch } from "../lib/index.ts";
import { sha256Of, type BlobStore } from "./blob-store.ts";
import type { ContentSource } from "./content-source.ts";
import type { PullOptions } from "./image.ts";
import { ImageError } from "./image-error.ts";
import { MAX_MANIFEST_BYTES, type Descriptor } from "./manifest.ts";
import { MANIFEST_TYPES } from "./media-types.ts";
import type { Reference } from "./reference.ts";
import { readBounded, RegistrySession } from "./registry-session.ts";

const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 500;
/** Silence from a registry, before its answer or inside one. */
const SILENCE_MS = 30_000;

export interface RemoteRegistryOptions {
  readonly reference: Reference & { readonly host: string };
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly maxBlobBytes: number;
  readonly pull: PullOptions;
}

/** One repository of another registry, read by the OCI distribution protocol. */
export class RemoteRegistry implements ContentSource {
  readonly #options: RemoteRegistryOptions;
  readonly #session: RegistrySession;

  constructor(options: RemoteRegistryOptions) {
    this.#options = options;
    const { reference, fetch, pull } = options;
    const auth = pull.auth === undefined ? {} : { auth: pull.auth };
    this.#session = new RegistrySession({ reference, fetch, ...auth, actions: "pull" });
  }

  async manifest(
    reference: string,
  ): Promise<{ digest: string; bytes: Uint8Array; mediaType: string | undefined }> {
    return this.#retrying(async (signal, heard) => {
      const url = `${this.#session.base}/manifests/${reference}`;
      const response = await this.#get(url, MANIFEST_TYPES.join(", "), signal);
      const bytes = await readBounded(response, MAX_MANIFEST_BYTES, heard);
      const digest = sha256Of(bytes);
      if (reference.startsWith("sha256:") && digest !== reference) {
        throw new ImageError("digest-mismatch", `manifest ${reference} came with digest ${digest}`);
      }
      const mediaType = response.headers.get("content-type")?.split(";")[0]?.trim();
      return { digest, bytes, mediaType: mediaType === "application/json" ? undefined : mediaType };
    });
  }

  async fetchBlob(descriptor: Descriptor): Promise<void> {
    const { blobs, maxBlobBytes, pull } = this.#options;
    const { digest, size } = descriptor;
    if (blobs.sizeOf(digest) !== undefined) return;
    if (size > maxBlobBytes) {
      throw new ImageError("too-large", `layer ${digest} has ${size} bytes of ${maxBlobBytes}`);
    }
    await this.#retrying(async (signal, heard) => {
      const response = await this.#get(`${this.#session.base}/blobs/${digest}`, "*/*", signal);
      const writer = await blobs.begin(size);
      try {
        for await (const chunk of response.body ?? []) {
          heard();
          await writer.append(chunk);
          const receivedBytes = writer.sizeBytes;
          pull.onProgress?.({ digest, receivedBytes, totalBytes: size });
        }
        await writer.commit(digest);
      } finally {
        await writer.discard();
      }
    });
  }

  /** Network failures and 5xx are worth another try; other ImageErrors will not change. */
  async #retrying<T>(work: (signal: AbortSignal, heard: () => void) => Promise<T>): Promise<T> {
    const { clock, pull, reference } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const silence = new AbortController();
      let cancel = clock.after(SILENCE_MS, () => silence.abort());
      const heard = (): void => {
        cancel();
        cancel = clock.after(SILENCE_MS, () => silence.abort());
      };
      try {
        return await work(AbortSignal.any([pull.signal, silence.signal]), heard);
      } catch (error) {
        if (pull.signal.aborted) {
          throw new ImageError("cancelled", "the pull was cancelled", { cause: error });
        }
        const final = error instanceof ImageError && error.code !== "unreachable";
        if (final) throw error;
        if (attempt >= MAX_ATTEMPTS) {
          const why = silence.signal.aborted ? `silent for ${SILENCE_MS / 1_000} s` : reason(error);
          const message = `registry ${reference.host} cannot be reached: ${why}`;
          throw new ImageError("unreachable", message, { cause: error });
        }
        await sleep(clock, RETRY_DELAY_MS * 2 ** (attempt - 1), pull.signal);
      } finally {
        cancel();
      }
    }
  }

  async #get(url: string, accept: string, signal: AbortSignal): Promise<Response> {
    const response = await this.#session.send(url, { headers: { Accept: accept }, signal });
    return this.#checked(response, url);
  }

  async #checked(response: Response, url: string): Promise<Response> {
    if (response.ok) return response;
    await response.body?.cancel();
    const { reference, pull } = this.#options;
    const what = `${reference.host}/${reference.repository}`;
    switch (response.status) {
      case 401:
      case 403: {
        const how = pull.auth === undefined ? "without credentials" : "with these credentials";
        const hint = "the image may not exist, or may need an imagePullSecret";
        throw new ImageError("unauthorized", `${what} cannot be pulled ${how}: ${hint}`);
      }
      case 404:
        throw new ImageError("not-found", `${what} is not at its registry (404 for ${url})`);
      default: {
        const code =
          response.status >= 500 || response.status === 429 ? "unreachable" : "unsupported";
        throw new ImageError(code, `${what}: the registry answered ${response.status}`);
      }
    }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ConnectionRefused: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name cannot be looked up now",
};

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  return REASONS[code] ?? (code === "" ? error.message : `${error.message} (${code})`);
}
