import { z } from "zod";
import { sleep, type Clock, type Fetch } from "../lib/index.ts";
import { sha256Of, type BlobStore } from "./blob-store.ts";
import type { ContentSource } from "./content-source.ts";
import type { PullOptions, RegistryAuth } from "./image.ts";
import { ImageError } from "./image-error.ts";
import { MAX_MANIFEST_BYTES, type Descriptor } from "./manifest.ts";
import { MANIFEST_TYPES } from "./media-types.ts";
import type { Reference } from "./reference.ts";
import { parseChallenge, type Challenge } from "./registry-challenge.ts";

const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 500;
const MAX_REDIRECTS = 5;
/** Silence from a registry, before its answer or inside one. */
const SILENCE_MS = 30_000;
const MAX_TOKEN_BYTES = 256 * 1024;

const tokenSchema = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
});

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
  readonly #base: string;
  #authorization: string | undefined;

  constructor(options: RemoteRegistryOptions) {
    this.#options = options;
    this.#base = `${registryOrigin(options.reference.host)}/v2/${options.reference.repository}`;
    const { auth } = options.pull;
    this.#authorization =
      auth !== undefined && "token" in auth ? `Bearer ${auth.token}` : undefined;
  }

  async manifest(
    reference: string,
  ): Promise<{ digest: string; bytes: Uint8Array; mediaType: string | undefined }> {
    return this.#retrying(async (signal, heard) => {
      const url = `${this.#base}/manifests/${reference}`;
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
      const response = await this.#get(`${this.#base}/blobs/${digest}`, "*/*", signal);
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
    const first = await this.#send(url, accept, signal);
    if (first.status !== 401) return this.#checked(first, url);
    const challenge = parseChallenge(first.headers.get("www-authenticate"));
    await first.body?.cancel();
    await this.#answerChallenge(challenge, signal);
    return this.#checked(await this.#send(url, accept, signal), url);
  }

  /** Follows redirects itself, so that credentials stay with the registry they are for. */
  async #send(url: string, accept: string, signal: AbortSignal): Promise<Response> {
    let target = new URL(url);
    const { origin } = target;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const headers = new Headers({ Accept: accept, "User-Agent": "kubun" });
      if (target.origin === origin && this.#authorization !== undefined) {
        headers.set("Authorization", this.#authorization);
      }
      const request = new Request(target, { headers, redirect: "manual", signal });
      const response = await this.#options.fetch(request);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) return response;
      await response.body?.cancel();
      target = redirectTarget(target, location);
    }
    throw new ImageError("unsupported", `more than ${MAX_REDIRECTS} redirects from ${url}`);
  }

  async #answerChallenge(challenge: Challenge | undefined, signal: AbortSignal): Promise<void> {
    const { pull, reference } = this.#options;
    const basic = basicCredentials(pull.auth);
    if (challenge?.type === "basic" && basic !== undefined) {
      this.#authorization = basic;
      return;
    }
    if (challenge?.type !== "bearer") {
      const how = pull.auth === undefined ? "needs credentials" : "refused the credentials";
      throw new ImageError("unauthorized", `registry ${reference.host} ${how}`);
    }
    const realm = checkedUrl(challenge.realm, new URL(this.#base));
    if (challenge.service !== undefined) realm.searchParams.set("service", challenge.service);
    const scope = challenge.scope ?? `repository:${reference.repository}:pull`;
    realm.searchParams.set("scope", scope);
    const headers = new Headers({ "User-Agent": "kubun" });
    if (basic !== undefined) headers.set("Authorization", basic);
    const request = new Request(realm, { headers, redirect: "error", signal });
    const response = await this.#options.fetch(request);
    if (response.status >= 500) {
      throw new ImageError("unreachable", `token service ${realm.host}: ${response.status}`);
    }
    if (!response.ok) {
      const message = `token service ${realm.host} answered ${response.status} for ${scope}`;
      throw new ImageError("unauthorized", message);
    }
    const bytes = await readBounded(response, MAX_TOKEN_BYTES, () => undefined);
    const answer = tokenSchema.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    const token = answer.data?.token ?? answer.data?.access_token;
    if (token === undefined) {
      throw new ImageError("unauthorized", `token service ${realm.host} gave no token`);
    }
    this.#authorization = `Bearer ${token}`;
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

/** Plain HTTP only to this machine, as everywhere in the container world. */
export function registryOrigin(host: string): string {
  if (host === "docker.io") return "https://registry-1.docker.io";
  const name = host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : host.split(":")[0];
  const local = name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name ?? "");
  return `${local ? "http" : "https"}://${host}`;
}

function redirectTarget(from: URL, location: string): URL {
  const target = checkedUrl(new URL(location, from).href, from);
  return target;
}

/** A registry may name another place, but not a plainer one, and not this machine's cloud. */
function checkedUrl(text: string, from: URL): URL {
  const target = URL.parse(text);
  const secure = target?.protocol === "https:";
  const plain = target?.protocol === "http:" && from.protocol === "http:";
  const linkLocal = /^169\.254\.|^\[fe[89ab]|^\[fd00:ec2:/i.test(target?.hostname ?? "");
  if (target === null || !(secure || plain) || linkLocal) {
    throw new ImageError("unsupported", `${from.host} points to ${text}, which is not allowed`);
  }
  return target;
}

function basicCredentials(auth: RegistryAuth | undefined): string | undefined {
  if (auth === undefined || "token" in auth) return undefined;
  const pair = Buffer.from(`${auth.username}:${auth.password}`, "utf8");
  return `Basic ${pair.toString("base64")}`;
}

async function readBounded(
  response: Response,
  limitBytes: number,
  heard: () => void,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    heard();
    size += piece.length;
    if (size > limitBytes) {
      throw new ImageError("too-large", `an answer of more than ${limitBytes} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
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
