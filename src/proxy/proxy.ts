import type { Ingress, Pod, Service } from "../api/index.ts";
import {
  createEventRecorder,
  createInformer,
  ENDPOINT_SLICES,
  INGRESS_CLASSES,
  INGRESSES,
  NODES,
  SERVICES,
  type ApiResource,
  type Client,
  type EventRecorder,
  type KubeObject,
} from "../client/index.ts";
import { sleep, type Clock, type Logger } from "../lib/index.ts";
import { ClusterZone, CLUSTER_DOMAIN, type ZoneOptions } from "../dns/index.ts";
import type { EgressPolicy } from "./egress/egress-router.ts";
import { EgressServer } from "./egress/egress-server.ts";
import type { NameResolver } from "./egress/outside-targets.ts";
import { IngressStatusWriter } from "./ingress-status.ts";
import { LoadBalancerStatusWriter } from "./load-balancer-status.ts";
import { DatagramListeners } from "./l4/datagram-listeners.ts";
import { MAX_SPLICES, ServiceListeners, type BindFailure } from "./l4/service-listeners.ts";
import { MAX_CLIENT_CONNECTIONS } from "./l7/http-context.ts";
import { IngressServer } from "./l7/ingress-server.ts";
import {
  createEndpointDial,
  type EndpointDial,
  type EndpointSocket,
} from "./net/endpoint-dialer.ts";
import { EndpointStates } from "./net/endpoint-states.ts";
import { PeerAddresses } from "./net/peer-addresses.ts";
import { TrafficCounts, type AddressTraffic } from "./net/traffic-counts.ts";
import { EarlyEndpoints } from "./wake/early-endpoints.ts";
import { Sleepers } from "./wake/sleepers.ts";
import type { RemoteDialer } from "./net/remote-dialer.ts";
import { RoutingBuilder } from "./routing/routing-builder.ts";
import type { RoutingTable } from "./routing/routing-table.ts";
import type { CertificatePair } from "./l7/tls-listener.ts";
import { IngressCertificates } from "./tls/ingress-certificates.ts";

/** Changes that come within this time are one new table. */
const REBUILD_DELAY_MS = 10;
/** How often statuses that could not be written are looked at again. */
const STATUS_RESYNC_MS = 30_000;
/** For requests under way when the proxy is stopped. */
export const DRAIN_MS = 3_000;
const DRAIN_POLL_MS = 20;

export interface ProxyOptions {
  readonly client: Client;
  /** As whom certificates of Ingresses are read: the node, which may read those and few others. */
  readonly secrets?: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The Unix socket of a pod's port when the pod runs here; undefined means TCP to ip:port. */
  readonly endpointSocket: EndpointSocket;
  /** The way to pods of other nodes; without it there is only this one. */
  readonly remote?: { readonly nodeName: string; readonly dialer: RemoteDialer };
  /** The address NodePorts listen on. */
  readonly nodePortAddress: string;
  /** Port 0 picks a free one. */
  readonly ingress: { readonly hostname: string; readonly port: number };
  /**
   * Where Ingress listens with TLS, and what is shown for hosts without a certificate of their
   * own. Without it there is plain HTTP only.
   */
  readonly ingressTls?: { readonly port: number; readonly fallback: CertificatePair };
  /**
   * Shown in the status of Ingresses and of LoadBalancer Services, whose ports are listened on
   * there; the ingress hostname unless given.
   */
  readonly ingressAddress?: string;
  /** Of several proxies one writes the status of Ingresses; asked each time. Default: this one. */
  readonly publishesIngressStatus?: () => boolean;
  /**
   * Connections of Services, and as many of Ingress, at the same time; further ones are turned
   * away. Each takes two descriptors.
   */
  readonly maxConnections?: number;
  /** What the cluster's names are; of "cluster.local" unless given. */
  readonly zone?: Partial<Omit<ZoneOptions, "view">>;
  /** Looks up names outside of the cluster; the machine's resolver unless given. */
  readonly resolve?: NameResolver;
  /**
   * Whether what is listened on now is still listened on by another process of this user, which
   * allows it and is about to leave.
   */
  readonly sharesPorts?: () => boolean;
}

/** Figures for a status page. */
export interface ProxyStatistics {
  readonly serviceListeners: number;
  readonly serviceConnections: number;
  readonly ingressClients: number;
  readonly ingressUpstreams: number;
  readonly egressClients: number;
  readonly egressUpstreams: number;
  /** Requests and connections that wait for a Deployment to be scaled up from zero. */
  readonly held: number;
}

export interface ProxyPorts {
  readonly ingressPort: number;
  /** Absent without TLS. */
  readonly ingressTlsPort?: number;
}

export interface Proxy {
  /**
   * Follows the API until the signal aborts, and listens for traffic once the first table is in
   * use. Rejects when the ingress address cannot be listened on.
   */
  start(signal: AbortSignal): Promise<ProxyPorts>;
  /**
   * Leaves the traffic to a successor that listens on the same ports: here nothing new is listened
   * on from now on, no status is written, and each connection of HTTP ends with its next answer.
   */
  retire(): void;
  /** Ends the listeners of one that retired; connections go on. */
  stopListening(): void;
  /** Connections of clients that are still open, of Services and of HTTP. */
  readonly open: number;
  statistics(): ProxyStatistics;
  /** What went through this proxy to each address of a pod. */
  traffic(): readonly AddressTraffic[];
  /**
   * Listens on a Unix socket for the HTTP requests of a pod and forwards what its policy allows:
   * to Services by name, to pods by address, elsewhere by the machine's resolver. Throws when the
   * path cannot be listened on. Requests wait for the first table.
   */
  openEgress(path: string, policy: EgressPolicy): { close(): void };
  /** The kubelet of this node found that a pod, its status with it, is ready or is not. */
  podReadiness(pod: Pod, readiness: { readonly ready: boolean }): void;
  /** The cluster's names, as this proxy sees them. */
  readonly zone: ClusterZone;
  /** Opens a connection to a pod's port, on whichever node it is: for port-forward. */
  readonly dial: EndpointDial;
  /**
   * Resolves when, after the signal aborted, requests under way have got their answers, at most
   * {@link DRAIN_MS} later; connections of Services are cut at once.
   */
  drained(): Promise<void>;
}

export function createProxy(options: ProxyOptions): Proxy {
  return new TableProxy(options);
}

class TableProxy implements Proxy {
  readonly zone: ClusterZone;
  readonly dial: EndpointDial;
  readonly #options: ProxyOptions;
  readonly #builder: RoutingBuilder;
  readonly #traffic: TrafficCounts;
  readonly #sleepers: Sleepers;
  readonly #early: EarlyEndpoints;
  readonly #states: EndpointStates;
  readonly #peerAddresses = new PeerAddresses();
  readonly #ingress: IngressServer;
  readonly #certificates: IngressCertificates;
  readonly #egress: EgressServer;
  readonly #services: ServiceListeners;
  readonly #datagrams: DatagramListeners;
  readonly #balancerStatus: LoadBalancerStatusWriter;
  readonly #events: EventRecorder;
  readonly #statusWriter: IngressStatusWriter;
  readonly #drained = Promise.withResolvers<void>();
  #signal: AbortSignal | undefined;
  #certifiedRules: RoutingTable["ingress"] | undefined;
  #rebuildPending = false;
  #synced = false;
  #retired = false;

  constructor(options: ProxyOptions) {
    const { client, clock, logger, endpointSocket, nodePortAddress, remote } = options;
    this.#options = options;
    this.#builder = new RoutingBuilder(remote?.nodeName);
    this.zone = new ClusterZone({ domain: CLUSTER_DOMAIN, ...options.zone, view: this.#builder });
    this.#traffic = new TrafficCounts(clock);
    this.#states = new EndpointStates(clock, this.#traffic);
    this.#sleepers = new Sleepers({ client, clock, logger });
    this.#early = new EarlyEndpoints({
      builder: this.#builder,
      clock,
      awaited: () => this.#sleepers.ports(),
      // Nothing is put together with it: who waits for an endpoint waits for nothing else.
      onChange: () => {
        if (this.#synced) this.#rebuild();
      },
    });
    const states = this.#states;
    const { maxConnections = Number.POSITIVE_INFINITY } = options;
    const maxClients = Math.min(maxConnections, MAX_CLIENT_CONNECTIONS);
    const peerAddressOf = (node: string) => this.#peerAddresses.of(node);
    const nodes = remote === undefined ? {} : { remote: { ...remote, peerAddressOf } };
    const dial = createEndpointDial({ endpointSocket, ...nodes });
    this.dial = dial;
    const sleepers = this.#sleepers;
    const shared = { clock, logger, states, dial, sleepers, traffic: this.#traffic };
    const sharing = options.sharesPorts === undefined ? {} : { sharesPorts: options.sharesPorts };
    this.#ingress = new IngressServer({ ...shared, maxConnections: maxClients });
    this.#egress = new EgressServer({
      ...shared,
      maxConnections: maxClients,
      zone: this.zone,
      service: (namespace, name) => this.#builder.service(namespace, name),
      nodeOfPod: (ip) => this.#peerAddresses.nodeOfPod(ip),
      ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
    });
    this.#events = createEventRecorder({ client, clock, logger, component: "kubun-proxy" });
    this.#certificates = new IngressCertificates({
      client: options.secrets ?? client,
      clock,
      logger,
      onProblem: (ingress, message) => {
        // One of several proxies tells.
        if (this.#publishes) this.#warn(ingress, "BadCertificate", message);
      },
    });
    const address = options.ingressAddress ?? options.ingress.hostname;
    const addresses = { nodePort: nodePortAddress, loadBalancer: address };
    const onBindFailure = (failure: BindFailure): void => this.#reportBindFailure(failure);
    this.#balancerStatus = new LoadBalancerStatusWriter(client, logger, address);
    this.#statusWriter = new IngressStatusWriter(client, logger, address);
    this.#services = new ServiceListeners({
      ...shared,
      ...sharing,
      addresses,
      onBindFailure,
      maxSplices: Math.min(maxConnections, MAX_SPLICES),
    });
    this.#datagrams = new DatagramListeners({
      clock,
      logger,
      states,
      addresses,
      onBindFailure,
      ...sharing,
    });
  }

  async start(signal: AbortSignal): Promise<ProxyPorts> {
    this.#signal = signal;
    signal.addEventListener("abort", () => void this.#close(), { once: true });
    const builder = this.#builder;
    await Promise.all([
      this.#follow(SERVICES, {
        set: (service) => builder.setService(service),
        delete: (service) => builder.deleteService(service),
      }),
      this.#follow(ENDPOINT_SLICES, {
        set: (slice) => {
          builder.setEndpointSlice(slice);
          this.#early.seen(slice);
        },
        delete: (slice) => builder.deleteEndpointSlice(slice),
      }),
      this.#follow(INGRESSES, {
        set: (ingress) => builder.setIngress(ingress),
        delete: (ingress) => builder.deleteIngress(ingress),
      }),
      this.#follow(INGRESS_CLASSES, {
        set: (ingressClass) => builder.setIngressClass(ingressClass),
        delete: (ingressClass) => builder.deleteIngressClass(ingressClass),
      }),
      ...(this.#options.remote === undefined ? [] : [this.#followNodes(signal)]),
    ]);
    this.#synced = true;
    this.#rebuild();
    // Nobody is answered by a table that is not there yet.
    const ports = await this.#listen();
    if (signal.aborted) this.stopListening();
    void this.#resyncStatus(signal);
    return ports;
  }

  async #listen(): Promise<ProxyPorts> {
    const { ingress, ingressTls, sharesPorts } = this.#options;
    const reusePort = sharesPorts?.() === true;
    const ingressPort = this.#ingress.listen({ ...ingress, reusePort });
    if (ingressTls === undefined) return { ingressPort };
    const ingressTlsPort = await this.#ingress.listenTls({
      ...ingressTls,
      hostname: ingress.hostname,
      reusePort,
      contextOf: (host) => this.#certificates.contextOf(host),
    });
    return { ingressPort, ingressTlsPort };
  }

  statistics(): ProxyStatistics {
    const { clients, upstreams } = this.#ingress.connections;
    const egress = this.#egress.connections;
    const { listeners, connections } = this.#services.counts;
    return {
      serviceListeners: listeners,
      serviceConnections: connections,
      ingressClients: clients,
      ingressUpstreams: upstreams,
      egressClients: egress.clients,
      egressUpstreams: egress.upstreams,
      held: this.#sleepers.count,
    };
  }

  traffic(): readonly AddressTraffic[] {
    return this.#traffic.report();
  }

  openEgress(path: string, policy: EgressPolicy): { close(): void } {
    return this.#egress.open(path, policy);
  }

  podReadiness(pod: Pod, readiness: { readonly ready: boolean }): void {
    this.#early.tell(pod, readiness);
  }

  drained(): Promise<void> {
    return this.#drained.promise;
  }

  retire(): void {
    this.#retired = true;
    this.#ingress.retire();
    this.#egress.retire();
  }

  stopListening(): void {
    this.#ingress.stopListening();
    this.#services.stopListening();
    this.#datagrams.close();
  }

  get open(): number {
    const { ingressClients, egressClients, serviceConnections } = this.statistics();
    return ingressClients + egressClients + serviceConnections;
  }

  async #follow<T extends KubeObject>(
    resource: ApiResource<T>,
    apply: { set: (object: T) => void; delete: (object: T) => void },
  ): Promise<void> {
    const { client, clock, logger } = this.#options;
    const informer = createInformer<T>(client, resource, { clock, logger });
    const changed = (act: () => void): void => {
      act();
      this.#scheduleRebuild();
    };
    informer.addHandler({
      onAdd: (object) => changed(() => apply.set(object)),
      onUpdate: (_old, next) => changed(() => apply.set(next)),
      onDelete: (last) => changed(() => apply.delete(last)),
    });
    if (this.#signal !== undefined) informer.start(this.#signal);
    await informer.synced();
  }

  /** Where nodes answer is looked up for each connection: no table depends on it. */
  async #followNodes(signal: AbortSignal): Promise<void> {
    const { client, clock, logger } = this.#options;
    const nodes = createInformer(client, NODES, { clock, logger });
    nodes.addHandler({
      onAdd: (node) => this.#peerAddresses.set(node),
      onUpdate: (_old, node) => this.#peerAddresses.set(node),
      onDelete: (node) => this.#peerAddresses.delete(node),
    });
    nodes.start(signal);
    await nodes.synced();
  }

  /** Nothing is swapped before all kinds were listed: half a table would cut what works. */
  #scheduleRebuild(): void {
    if (this.#rebuildPending || !this.#synced) return;
    this.#rebuildPending = true;
    // Who waits for an endpoint waits for nothing else.
    const delayMs = this.#sleepers.count > 0 ? 0 : REBUILD_DELAY_MS;
    this.#options.clock.after(delayMs, () => {
      this.#rebuildPending = false;
      this.#rebuild();
    });
  }

  #rebuild(): void {
    if (this.#signal?.aborted !== false) return;
    const table = this.#builder.build();
    const retired = this.#states.retain(table);
    this.#ingress.update(table, retired);
    this.#egress.update(table, retired);
    if (!this.#retired) {
      this.#services.update(table);
      this.#datagrams.update(table);
    }
    this.#sleepers.update(table);
    this.#updateCertificates(table);
    if (!this.#retired) this.#publishStatus();
  }

  #updateCertificates({ ingress }: RoutingTable): void {
    // Rules are compiled anew with every change of an Ingress, so that these are of the same.
    if (this.#options.ingressTls === undefined || ingress === this.#certifiedRules) return;
    this.#certifiedRules = ingress;
    this.#certificates.update(this.#builder.servedIngresses());
  }

  /** Of several proxies one speaks for all. */
  get #publishes(): boolean {
    return this.#options.publishesIngressStatus?.() ?? true;
  }

  #publishStatus(): void {
    const { logger } = this.#options;
    if (!this.#publishes) return;
    this.#statusWriter
      .publish(this.#builder.servedIngresses())
      .catch((error: unknown) => logger.warn("ingress status", { error: String(error) }));
    const isBound = (namespace: string, name: string): boolean =>
      !this.#services.failedFor(namespace, name) && !this.#datagrams.failedFor(namespace, name);
    this.#balancerStatus
      .publish([...this.#builder.services()], isBound)
      .catch((error: unknown) => logger.warn("Service status", { error: String(error) }));
  }

  async #resyncStatus(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await sleep(clock, STATUS_RESYNC_MS, signal);
      if (signal.aborted || this.#retired) return;
      this.#publishStatus();
    }
  }

  #reportBindFailure({ spec, message }: BindFailure): void {
    const { namespace, service } = spec.servicePort;
    this.#options.logger.info("service address not bound", {
      service: `${namespace}/${service}`,
      message,
    });
    const known = this.#builder.service(namespace, service);
    if (known !== undefined) this.#warn(known, "AddressNotBound", message);
  }

  #warn(object: Service | Ingress, reason: string, message: string): void {
    this.#events.event(object, "Warning", reason, message);
  }

  async #close(): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + DRAIN_MS;
    this.#services.close();
    this.#datagrams.close();
    this.#certificates.close();
    this.#ingress.drain();
    this.#egress.drain();
    const busy = (): boolean => this.#ingress.busy + this.#egress.busy > 0;
    while (busy() && clock.monotonic() < untilMs) await sleep(clock, DRAIN_POLL_MS);
    this.#ingress.close();
    this.#egress.close();
    this.#drained.resolve();
  }
}
