import {
  HEAD_TOO_LARGE,
  NEED_MORE,
  isFault,
  isIdempotent,
  parseResponseHead,
  type CancelTimer,
  type RequestHead,
  type Side,
} from "../../lib/index.ts";
import type { EndpointState } from "../net/endpoint-states.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { EgressErrorCode } from "./egress-error.ts";
import { writeRequestHead } from "./head-writer.ts";
import type { HttpContext } from "./http-context.ts";
import type { PortTarget, RequestTarget } from "./request-target.ts";
import { ResponseRelay } from "./response-relay.ts";
import type { ServicePort } from "../routing/routing-table.ts";
import { portFor } from "../routing/way-in.ts";
import { MAX_HOLDS, type Waiting } from "../wake/sleepers.ts";
import type { UpstreamConnection, UpstreamUser } from "./upstream-connection.ts";

/** Endpoints, or connections to one, that are tried for a request. */
export const MAX_ATTEMPTS = 4;

const NONE_TRIED: ReadonlySet<string> = new Set();

/**
 * One request on its way: chooses an endpoint, sends the request, and gives the answer to the
 * client. An attempt whose connection did not come up is followed by another. A request that was
 * sent is sent once more at most: when the connection was an old one, nothing was answered, the
 * method is idempotent and nothing of the body is gone that is not held any more.
 */
export class Exchange implements UpstreamUser, Waiting {
  readonly #context: HttpContext;
  readonly #client: ClientConnection;
  readonly #head: RequestHead;
  /** The part of the body that came with the head: kept, so that it can be sent again. */
  readonly #firstBody: Buffer;
  readonly #idempotent: boolean;
  #target: PortTarget | undefined;
  #aborted = false;
  #holds = 0;
  #cancelHold: (() => void) | undefined;
  #tried: Set<string> | undefined;
  #attempts = 0;
  #freshOnly = false;
  #bodyStreamed = false;
  #sent = false;
  #answered = false;
  #tunnel = false;
  #upstreamPaused = false;
  #endpoint: EndpointState | undefined;
  #upstream: UpstreamConnection | undefined;
  #relay: ResponseRelay | undefined;
  #cancelConnectTimeout: CancelTimer | undefined;
  /** Why the last attempt came to nothing. */
  #failure: EgressErrorCode = "connection-refused";

  constructor(
    context: HttpContext,
    client: ClientConnection,
    head: RequestHead,
    firstBody: Buffer,
  ) {
    this.#context = context;
    this.#client = client;
    this.#head = head;
    this.#firstBody = firstBody;
    this.#idempotent = isIdempotent(head.method);
  }

  /** True when more of the request body can be taken. */
  get accepting(): boolean {
    return this.#sent && this.#upstream?.writable === true;
  }

  /** True when the head of the response went to the client. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Who is to answer, for messages. */
  get respondent(): string {
    return describe(this.#target, this.#endpoint);
  }

  start(): void {
    this.#goToFound(this.#client.router.route(this.#head));
  }

  #goToFound(target: RequestTarget | Promise<RequestTarget>): void {
    if (!(target instanceof Promise)) {
      this.#goTo(target);
      return;
    }
    target.then(
      (found) => this.#goTo(found),
      (error: unknown) => {
        this.#context.logger.error("a request could not be routed", { error: String(error) });
        this.#goTo({ type: "refused", status: 502, message: "no way", code: "internal-error" });
      },
    );
  }

  /** Bytes of the request body, or of the tunnel; false asks the client to pause. */
  forward(bytes: Buffer): boolean {
    this.#bodyStreamed = true;
    return this.#upstream?.write(bytes) ?? true;
  }

  /** The client took what was held for it. */
  onClientDrain(): void {
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.#upstream?.resume();
  }

  /** The client ended its side of an upgraded connection. */
  finishTunnel(): void {
    this.#upstream?.finish();
  }

  /** The client is gone: nobody waits for the answer any more. */
  abort(): void {
    this.#aborted = true;
    this.#cancelHold?.();
    const upstream = this.#detach();
    upstream?.destroy();
  }

  onUpstreamOpen(): void {
    this.#cancelConnectTimeout?.();
    if (this.#endpoint !== undefined) this.#target?.states.markAlive(this.#endpoint);
    this.#send();
    this.#client.onExchangeAccepting();
  }

  onUpstreamDrain(): void {
    this.#client.onExchangeAccepting();
  }

  onUpstreamData(chunk: Buffer): void {
    this.#client.touch();
    if (this.#tunnel) {
      this.#write(chunk);
      return;
    }
    if (this.#relay === undefined) this.#readHead(chunk);
    else this.#relayBody(this.#relay, chunk, 0);
  }

  onUpstreamEnd(): void {
    if (this.#tunnel) {
      this.#client.finishTunnel();
    } else if (this.#relay?.endsWithConnection === true) {
      this.#complete(this.#relay, { reusable: false });
    } else {
      const upstream = this.#upstream;
      this.onUpstreamClose();
      upstream?.destroy();
    }
  }

  onUpstreamClose(): void {
    const target = this.#target;
    const upstream = this.#detach();
    if (this.#tunnel) {
      this.#client.endTunnel();
      return;
    }
    if (this.#answered) {
      // Half an answer cannot be mended: cutting the connection is how the client learns of it.
      this.#client.cut();
      return;
    }
    const endpoint = upstream?.endpoint;
    if (endpoint === undefined) return;
    if (!this.#sent) {
      this.#failure = upstream?.failure ?? "connection-refused";
      this.#target?.states.markFailed(endpoint);
      this.#avoid(endpoint);
      this.#attempt();
      return;
    }
    this.#sent = false;
    // A connection out of the pool may just have been closed for its age: a new one tells. What
    // ends a new one may be the request itself, which must not end one endpoint after another.
    const tooOld = (upstream?.uses ?? 0) > 1 && !this.#freshOnly;
    if (this.#bodyStreamed || !this.#idempotent || !tooOld) {
      const message = `${describe(target, endpoint)} closed the connection without an answer`;
      this.#client.answer(502, message, "connection-terminated");
      return;
    }
    this.#failure = "connection-terminated";
    this.#freshOnly = true;
    this.#attempt();
  }

  #goTo(target: RequestTarget): void {
    if (this.#aborted) return;
    switch (target.type) {
      case "refused":
        this.#client.answer(target.status, target.message, target.code);
        return;
      case "answer":
        this.#client.answerJson(target.value);
        return;
      case "port":
        this.#target = target;
        this.#attempt();
    }
  }

  #avoid(endpoint: EndpointState): void {
    this.#tried ??= new Set();
    this.#tried.add(endpoint.endpoint.key);
  }

  #attempt(): void {
    const { table, pool } = this.#context;
    const target = this.#target;
    if (target === undefined) return;
    const found = target.fixed === true ? target.port : table.ports.get(target.port.key);
    // Pods come as if by the ClusterIP; Ingress asks pods itself, whatever the Service's policies.
    const port =
      this.#side === "egress" && found !== undefined ? portFor(found, "ClusterIP") : found;
    if (target.awake !== undefined && port !== undefined && port.endpoints.length > 0) {
      this.#target = undefined;
      this.#goToFound(Promise.resolve(target.awake()));
      return;
    }
    const tried = this.#tried ?? NONE_TRIED;
    const endpoint =
      port === undefined || this.#attempts++ >= MAX_ATTEMPTS
        ? undefined
        : target.states.choose(port, tried);
    if (endpoint === undefined) {
      if (!this.#waits(port)) this.#giveUp(target);
      return;
    }
    this.#endpoint = endpoint;
    target.states.begin(endpoint);
    const pooled = this.#freshOnly
      ? undefined
      : pool.take(endpoint, this, { repeatable: this.#idempotent });
    this.#upstream = pooled ?? pool.connect(endpoint, this);
    if (pooled === undefined) {
      this.#limitConnecting(target);
      return;
    }
    this.#send();
    // Whatever of the body came while this was not the first thing to happen waits for it.
    this.#client.onExchangeAccepting();
  }

  #limitConnecting({ connectMs }: PortTarget): void {
    if (connectMs === undefined) return;
    const upstream = this.#upstream;
    this.#cancelConnectTimeout = this.#context.clock.after(connectMs, () => {
      if (upstream?.connected === false) upstream.fail("connection-timeout");
    });
  }

  /** Waits for a Deployment that sleeps, when nothing of the request is gone yet. */
  #waits(port: ServicePort | undefined): boolean {
    const { sleepers } = this.#context;
    if (port === undefined || this.#bodyStreamed || this.#holds++ >= MAX_HOLDS) return false;
    const bytes = this.#head.end - this.#head.start + this.#firstBody.length;
    const result = sleepers?.hold(port, bytes, this);
    switch (result?.type) {
      case "held":
        this.#cancelHold = result.cancel;
        return true;
      case "full": {
        const name = `${port.namespace}/${port.service}`;
        const message = `too many requests wait for Service ${name} to be scaled up`;
        this.#client.answer(503, message, "connection-limit-reached");
        return true;
      }
      case "awake":
      case undefined:
        return false;
    }
  }

  onReady(): void {
    this.#client.touch();
    this.#attempts = 0;
    this.#tried = undefined;
    this.#attempt();
  }

  onLate(): void {
    const { namespace, service } = this.#target?.port ?? {};
    const message = `Service ${namespace}/${service} was not scaled up in time`;
    this.#client.answer(503, message, "destination-unavailable");
  }

  #giveUp({ port: { namespace, service }, fixed }: PortTarget): void {
    const name = fixed === true ? service : `Service ${namespace}/${service}`;
    if (this.#attempts <= 1) {
      this.#client.answer(503, `${name} has no ready endpoint`, "destination-unavailable");
      return;
    }
    const code = this.#failure;
    const what = fixed === true ? `${name} cannot be reached` : `no endpoint of ${name} answers`;
    this.#client.answer(502, code === "connection-refused" ? what : `${what}: ${code}`, code);
  }

  /** Head and first piece of body leave in one write when they fit the scratch buffer. */
  #send(): void {
    const { scratch } = this.#context;
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    this.#sent = true;
    const length = writeRequestHead(this.#head, this.#client.forwardedFor(this.#head), scratch);
    const body = this.#firstBody;
    if (length + body.length <= scratch.length) {
      body.copy(scratch, length);
      upstream.write(scratch.subarray(0, length + body.length));
    } else {
      upstream.write(scratch.subarray(0, length));
      upstream.write(body);
    }
  }

  #readHead(chunk: Buffer): void {
    const reader = this.#upstream?.reader;
    if (reader === undefined) return;
    for (let at = 0; at < chunk.length;) {
      const next = reader.push(chunk, at);
      if (next === NEED_MORE) return;
      if (next < 0) {
        const large = next === HEAD_TOO_LARGE;
        const fault = large ? "too large" : "malformed";
        this.#refuseEndpoint(
          `the response of ${this.respondent} has a head that is ${fault}`,
          large ? "http-response-header-section-size" : "http-protocol-error",
        );
        return;
      }
      const { bytes, start, end } = reader;
      const head = parseResponseHead(bytes, start, end, this.#head.method, this.#side);
      if (isFault(head)) {
        const who = this.respondent;
        this.#refuseEndpoint(`the response of ${who} cannot be read: ${head.message}`);
        return;
      }
      if (head.status === 101) {
        this.#upgrade(new ResponseRelay(this.#context, this.#head, head), chunk, next);
        return;
      }
      const relay = new ResponseRelay(this.#context, this.#head, head);
      if (head.status >= 200) {
        this.#answered = true;
        this.#relay = relay;
        relay.decideKeepAlive({ requestComplete: this.#client.requestComplete });
        this.#relayBody(relay, chunk, next);
        return;
      }
      if (this.#head.version === 11) this.#write(relay.interimHead());
      at = next;
    }
  }

  #upgrade(relay: ResponseRelay, chunk: Buffer, from: number): void {
    if (this.#head.upgrade === "") {
      this.#refuseEndpoint(`${this.respondent} switched protocols without being asked`);
      return;
    }
    this.#answered = true;
    this.#tunnel = true;
    this.#write(relay.upgradeHead());
    if (from < chunk.length) this.#write(chunk.subarray(from));
    this.#client.onTunnel();
  }

  #relayBody(relay: ResponseRelay, chunk: Buffer, from: number): void {
    const end = relay.take(chunk, from, this.#writeToClient);
    if (end < 0) {
      this.abort();
      this.#client.cut();
    } else if (relay.done) {
      this.#complete(relay, { reusable: relay.keepsUpstream && end === chunk.length });
    }
  }

  readonly #writeToClient = (bytes: Uint8Array): void => this.#write(bytes);

  #write(bytes: Uint8Array): void {
    if (this.#client.write(bytes) || this.#upstreamPaused) return;
    this.#upstreamPaused = true;
    this.#upstream?.pause();
  }

  #complete(relay: ResponseRelay, options: { reusable: boolean }): void {
    const upstream = this.#detach();
    if (upstream !== undefined) {
      if (options.reusable && this.#client.requestComplete && upstream.connected) {
        if (this.#upstreamPaused) upstream.resume();
        this.#context.pool.release(upstream);
      } else {
        upstream.destroy();
      }
    }
    this.#client.onExchangeDone({ keepAlive: relay.keepsClient });
  }

  #refuseEndpoint(message: string, code: EgressErrorCode = "http-protocol-error"): void {
    const upstream = this.#detach();
    upstream?.destroy();
    this.#client.answer(502, message, code);
  }

  get #side(): Side {
    return this.#client.router.side;
  }

  #detach(): UpstreamConnection | undefined {
    this.#cancelConnectTimeout?.();
    if (this.#endpoint !== undefined) this.#target?.states.end(this.#endpoint);
    this.#endpoint = undefined;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    return upstream;
  }
}

/** "endpoint 127.42.0.2:8080 of Service default/web", or a target outside by its name. */
function describe(target: PortTarget | undefined, state: EndpointState | undefined): string {
  if (target === undefined) return "the endpoint";
  const { namespace, service } = target.port;
  if (target.fixed === true) return service;
  const { ip, port } = state?.endpoint ?? {};
  const endpoint = ip === undefined ? "an endpoint" : `endpoint ${ip}:${port}`;
  return `${endpoint} of Service ${namespace}/${service}`;
}
