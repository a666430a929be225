import { z } from "zod";
import type { Fetch } from "../lib/index.ts";
import type { RegistryAuth } from "./image.ts";
import { ImageError } from "./image-error.ts";
import type { Reference } from "./reference.ts";
import { parseChallenge, type Challenge } from "./registry-challenge.ts";

const MAX_REDIRECTS = 5;
const MAX_TOKEN_BYTES = 256 * 1024;

const tokenSchema = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
});

export interface RegistrySessionOptions {
  readonly reference: Reference & { readonly host: string };
  readonly fetch: Fetch;
  readonly auth?: RegistryAuth;
  /** What a token is asked for when the registry does not say so itself. */
  readonly actions: "pull" | "pull,push";
}

export interface RegistryRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | Blob;
  readonly signal?: AbortSignal;
}

/** One repository of another registry, with the credentials it wants: each is asked for once. */
export class RegistrySession {
  /** `https://HOST/v2/REPOSITORY` */
  readonly base: string;
  readonly #options: RegistrySessionOptions;
  #authorization: string | undefined;

  constructor(options: RegistrySessionOptions) {
    this.#options = options;
    this.base = `${registryOrigin(options.reference.host)}/v2/${options.reference.repository}`;
    const { auth } = options;
    this.#authorization =
      auth !== undefined && "token" in auth ? `Bearer ${auth.token}` : undefined;
  }

  /** The registry's answer, whatever its status but 401. `url` may be relative to the registry. */
  async send(url: string, request: RegistryRequest = {}): Promise<Response> {
    const target = checkedUrl(new URL(url, this.base).href, new URL(this.base)).href;
    const first = await this.#sendOnce(target, request);
    if (first.status !== 401) return first;
    const challenge = parseChallenge(first.headers.get("www-authenticate"));
    await first.body?.cancel();
    await this.#answerChallenge(challenge, request.signal);
    return this.#sendOnce(target, request);
  }

  /** Follows redirects itself, so that credentials stay with the registry they are for. */
  async #sendOnce(url: string, request: RegistryRequest): Promise<Response> {
    const { origin } = new URL(this.base);
    let target = new URL(url);
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const headers = new Headers({ "User-Agent": "kubun", ...request.headers });
      if (target.origin === origin && this.#authorization !== undefined) {
        headers.set("Authorization", this.#authorization);
      }
      const response = await this.#options.fetch(
        new Request(target, { ...request, headers, redirect: "manual" }),
      );
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) return response;
      await response.body?.cancel();
      target = checkedUrl(new URL(location, target).href, target);
    }
    throw new ImageError("unsupported", `more than ${MAX_REDIRECTS} redirects from ${url}`);
  }

  async #answerChallenge(
    challenge: Challenge | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { auth, reference, actions } = this.#options;
    const basic = basicCredentials(auth);
    if (challenge?.type === "basic" && basic !== undefined) {
      this.#authorization = basic;
      return;
    }
    if (challenge?.type !== "bearer") {
      const how = auth === undefined ? "needs credentials" : "refused the credentials";
      throw new ImageError("unauthorized", `registry ${reference.host} ${how}`);
    }
    const realm = checkedUrl(challenge.realm, new URL(this.base));
    if (challenge.service !== undefined) realm.searchParams.set("service", challenge.service);
    const scope = challenge.scope ?? `repository:${reference.repository}:${actions}`;
    realm.searchParams.set("scope", scope);
    const headers = new Headers({ "User-Agent": "kubun" });
    if (basic !== undefined) headers.set("Authorization", basic);
    const response = await this.#options.fetch(
      new Request(realm, {
        headers,
        redirect: "error",
        ...(signal === undefined ? {} : { signal }),
      }),
    );
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
}

/** Plain HTTP only to this machine, as everywhere in the container world. */
export function registryOrigin(host: string): string {
  if (host === "docker.io") return "https://registry-1.docker.io";
  const name = host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : host.split(":")[0];
  const local = name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name ?? "");
  return `${local ? "http" : "https"}://${host}`;
}

/** The whole body. Throws ImageError `too-large` beyond the limit. */
export async function readBounded(
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
