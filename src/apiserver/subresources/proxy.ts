import type { Pod, Service } from "../../api/index.ts";
import { badRequest, notFound, serviceUnavailable, StatusError } from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";
import { pathnameOf } from "../request-target.ts";

/** Whom a proxied request is for: a Service or pod of the cluster, by name or address. */
export interface ProxyDestination {
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
}

/**
 * Sends a request into the cluster; rejects with a sentence when nothing answers there. `upgraded`
 * is the client's own request where it asks for another protocol: its connection is joined to the
 * endpoint's when that agrees, and the answer is not sent then.
 */
export type ProxyTransport = (
  request: Request,
  destination: ProxyDestination,
  upgraded?: Request,
) => Promise<Response>;

/** What of a client's request is for this server alone. */
const OWN_FIELDS = ["authorization", "connection", "host", "keep-alive", "transfer-encoding"];
const OWN_PREFIXES = ["impersonate-", "x-kubun-", "x-remote-"];
const NO_BODY: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const DEFAULT_PORT = 80;
const DEFAULT_TLS_PORT = 443;
const MAX_PORT = 65_535;

/**
 * `/proxy` of pods, Services and nodes: passes a request of any method on, with its body as a
 * stream, and answers what comes back. The rest of the path is the path there.
 */
export async function proxyRequest(api: ApiRequest, transport: ProxyTransport): Promise<Response> {
  const { definition, request } = api;
  const upgrades = request.headers.has("upgrade");
  if (upgrades && (definition.resource === "nodes" || request.body !== null)) {
    throw badRequest("only requests to pods and Services without a body upgrade their connections");
  }
  if (definition.resource === "nodes") return askNode(api);
  const destination = await (definition.resource === "pods" ? podOf(api) : serviceOf(api));
  const { scheme, host, port } = destination;
  const sent = forwarded(api, `${scheme}://${host}:${port}`);
  try {
    return await transport(sent, destination, ...(upgrades ? [request] : []));
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw serviceUnavailable(`error trying to reach service: ${why}`);
  }
}

async function askNode(api: ApiRequest): Promise<Response> {
  const { context, target } = api;
  const { name } = parseName(target.name);
  await api.resource.get("", name);
  const node = context.nodeConnector(name);
  if (node === undefined) throw serviceUnavailable(`error trying to reach service: node ${name}`);
  return node(forwarded(api, `http://${encodeURIComponent(name)}`));
}

/** The part of the path behind `/proxy` as it came, which may hold what no resource's path may. */
function restOf(api: ApiRequest): string {
  const pathname = pathnameOf(api.request.url);
  const behind = /^\/api\/v1\/(?:namespaces\/[^/]+\/)?[^/]+\/[^/]+\/proxy(\/.*)?$/.exec(pathname);
  return behind?.[1] ?? "/";
}

function forwarded(api: ApiRequest, origin: string): Request {
  const { request } = api;
  const headers = new Headers(request.headers);
  for (const name of request.headers.keys()) {
    const own = OWN_FIELDS.includes(name) || OWN_PREFIXES.some((prefix) => name.startsWith(prefix));
    if (own) headers.delete(name);
  }
  const { host, search, pathname } = new URL(request.url);
  headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", "https");
  headers.set("x-forwarded-uri", pathname);
  return new Request(`${origin}${restOf(api)}${search}`, {
    method: request.method,
    headers,
    signal: request.signal,
    redirect: "manual",
    ...(NO_BODY.has(request.method) || request.body === null
      ? {}
      : { body: request.body, duplex: "half" }),
  });
}

interface ProxyName {
  readonly scheme: "http" | "https";
  readonly name: string;
  /** A number or a port's name; "" when none was given. */
  readonly port: string;
}

/** `name`, `name:port` or `scheme:name:port`. */
function parseName(text: string): ProxyName {
  const [first = "", second, third, ...more] = text.split(":");
  const scheme = third === undefined ? "http" : first === "" ? "http" : first;
  const bad = more.length > 0 || (scheme !== "http" && scheme !== "https");
  if (bad) throw badRequest(`invalid service request ${JSON.stringify(text)}`);
  if (second === undefined) return { scheme, name: first, port: "" };
  if (third === undefined) return { scheme, name: first, port: second };
  return { scheme, name: second, port: third };
}

async function podOf({ target, namespace, resource }: ApiRequest): Promise<ProxyDestination> {
  const { scheme, name, port } = parseName(target.name);
  if (name === "") throw badRequest(`invalid pod request ${JSON.stringify(target.name)}`);
  const pod = (await resource.get(namespace, name)).object as Pod;
  const host = pod.status?.podIP ?? "";
  if (host === "") throw badRequest("address not allowed");
  const given = port === "" ? firstPort(pod) : Number(port);
  const number = given ?? (scheme === "https" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
  if (!isPort(number)) throw badRequest(`invalid port ${JSON.stringify(port)}`);
  return { scheme, host, port: number };
}

function firstPort({ spec }: Pod): number | undefined {
  return spec?.containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort;
}

function isPort(number: number): boolean {
  return Number.isInteger(number) && number > 0 && number <= MAX_PORT;
}

async function serviceOf({ target, namespace, resource }: ApiRequest): Promise<ProxyDestination> {
  const { scheme, name, port } = parseName(target.name);
  if (name === "") throw notFound({ group: "", resource: "services" }, target.name);
  const { spec } = (await resource.get(namespace, name)).object as Service;
  const number = Number(port);
  const ports = (spec?.ports ?? []).filter(({ protocol = "TCP" }) => protocol === "TCP");
  const byNumber = port !== "" && isPort(number);
  const found = ports.find((each) =>
    byNumber ? each.port === number : (each.name ?? "") === port,
  );
  if (found === undefined) {
    throw serviceUnavailable(
      byNumber
        ? `no service port ${number} found for service "${name}"`
        : `no endpoints available for service "${name}"`,
    );
  }
  return { scheme, host: `${name}.${namespace}.svc`, port: found.port };
}
