import {
  ALLOWED_HOSTS_ANNOTATION,
  isAllowed,
  type AllowedHost,
} from "../../component/pod-grants.ts";
import { Exchange } from "../http/exchange.ts";
import type { ReceivedResponse } from "../http/incoming-response.ts";
import { HttpError } from "../http/http-error.ts";
import type { InstanceContext } from "../instance-context.ts";
import type { InstanceScope } from "../io/instance-scope.ts";
import { Pollable, untilReady } from "../io/pollable.ts";
import { ReadySignal } from "../io/ready-signal.ts";
import { Resource } from "../io/resource.ts";
import { formatIp, parseIp, type IpAddress } from "./ip-address.ts";
import { NetworkError, type Network, type NetworkErrorCode } from "./network.ts";

/** Addresses of one answer; the rest is not looked at. */
export const MAX_ADDRESSES = 64;
export const LOOKUP_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const HOST_NAME =
  /^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;
const ANY_PORT = 1;

/** The resource `resolve-address-stream`. */
export class ResolveAddressStream extends Resource {
  readonly #signal = new ReadySignal();
  #addresses: IpAddress[] | undefined;
  #error: NetworkErrorCode | undefined;

  constructor(scope: InstanceScope, addresses: Promise<IpAddress[]>) {
    super(scope);
    addresses.then(
      (found) => this.#settle(found, undefined),
      (error: unknown) => this.#settle([], lookupError(error)),
    );
  }

  resolveNextAddress(): IpAddress | undefined {
    if (this.#error !== undefined) throw new NetworkError(this.#error);
    if (this.#addresses === undefined) throw new NetworkError("would-block");
    return this.#addresses.shift();
  }

  subscribe(): Pollable {
    const source = {
      ready: () => this.#addresses !== undefined,
      watch: (callback: () => void) => this.#signal.watch(callback),
    };
    return new Pollable(this.scope, source, this);
  }

  #settle(addresses: IpAddress[], error: NetworkErrorCode | undefined): void {
    this.#addresses = addresses;
    this.#error = error;
    this.#signal.notify();
  }
}

/** `resolve-addresses`: names that are granted to tcp or udp, through the egress. */
export function resolveAddresses(context: InstanceContext) {
  return (_network: Network, name: string): ResolveAddressStream => {
    const { scope, options, shared } = context;
    const literal = parseIp(name.replace(/^\[(.*)\]$/, "$1"));
    if (literal !== undefined) return new ResolveAddressStream(scope, Promise.resolve([literal]));
    if (!HOST_NAME.test(name)) throw new NetworkError("invalid-argument");
    const dialled = options.grants.allowedHosts.flatMap(dialledHost);
    if (!isAllowed(dialled, "tcp", name, ANY_PORT)) {
      const entry = `tcp://${name.toLowerCase()}:*`;
      shared.denials.tell("wasi:sockets/ip-name-lookup", entry, ALLOWED_HOSTS_ANNOTATION);
      throw new NetworkError("access-denied");
    }
    return new ResolveAddressStream(scope, lookUp(context, name));
  };
}

/** An entry that says something about sockets, whatever their port. */
function dialledHost(entry: AllowedHost): AllowedHost[] {
  if (entry.scheme === "http" || entry.scheme === "https") return [];
  return [{ scheme: "tcp", host: entry.host, port: "*" }];
}

async function lookUp({ scope, shared }: InstanceContext, name: string): Promise<IpAddress[]> {
  if (shared.egress === undefined) throw new NetworkError("name-unresolvable");
  const exchange = new Exchange(shared.egress, scope.clock, {
    head: {
      method: "GET",
      scheme: "http",
      authority: name,
      pathWithQuery: "/",
      headers: [],
      connectTimeoutMs: undefined,
      resolve: name,
    },
    body: undefined,
    declaredLength: undefined,
    firstByteTimeoutMs: LOOKUP_TIMEOUT_MS,
    betweenBytesTimeoutMs: LOOKUP_TIMEOUT_MS,
  });
  exchange.start();
  const response = await exchange.response;
  if (response.status !== 200) throw new NetworkError("name-unresolvable");
  const addresses = parseAnswer(await textOf(scope, response));
  for (const address of addresses) shared.names.remember(name, formatIp(address));
  return addresses;
}

function parseAnswer(text: string): IpAddress[] {
  const answer = JSON.parse(text) as { readonly addresses?: unknown };
  const list = Array.isArray(answer.addresses) ? answer.addresses : [];
  const addresses = list.slice(0, MAX_ADDRESSES).flatMap((address) => {
    const ip = typeof address === "string" ? parseIp(address) : undefined;
    return ip === undefined ? [] : [ip];
  });
  if (addresses.length === 0) throw new NetworkError("name-unresolvable");
  return addresses;
}

async function textOf(scope: InstanceScope, { body }: ReceivedResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    await untilReady(scope, body.bytes);
    const bytes = body.bytes.read(MAX_ANSWER_BYTES);
    if (bytes === undefined) return Buffer.concat(chunks).toString();
    chunks.push(bytes);
    length += bytes.length;
    if (length > MAX_ANSWER_BYTES) throw new NetworkError("temporary-resolver-failure");
  }
}

function lookupError(error: unknown): NetworkErrorCode {
  if (error instanceof NetworkError) return error.payload;
  const tag = error instanceof HttpError ? error.code.tag : undefined;
  if (tag === "HTTP-request-denied") return "access-denied";
  const unknown = tag === "DNS-error" || tag === "destination-not-found";
  return unknown ? "name-unresolvable" : "temporary-resolver-failure";
}
