import type { EndpointSlice, Ingress, IngressClass, Service } from "../../api/index.ts";
import type { ClusterView } from "../../dns/index.ts";
import { compileIngresses, isOurs, NO_RULES, type HostRules } from "./ingress-rules.ts";
import type { RoutingTable, ServicePort } from "./routing-table.ts";
import { compileService, sameServicePort } from "./service-ports.ts";

const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

interface Meta {
  readonly metadata: { readonly namespace?: string; readonly name?: string };
}

/**
 * Keeps what the API says and compiles routing tables from it. A build compiles only the Services
 * that changed since the last one and keeps the identity of everything that stayed the same.
 */
export class RoutingBuilder implements ClusterView {
  readonly #services = new Map<string, Service>();
  /** By Service, then by slice name. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  /** To which Service a slice belonged when last seen: its label may change. */
  readonly #ownerOfSlice = new Map<string, string>();
  readonly #ingresses = new Map<string, Ingress>();
  readonly #classes = new Map<string, IngressClass>();
  readonly #compiled = new Map<string, readonly ServicePort[]>();
  readonly #dirtyServices = new Set<string>();
  readonly #nodeName: string | undefined;
  #ingressDirty = false;
  #table: RoutingTable = { ports: new Map(), ingress: NO_RULES };

  /** @param nodeName whose endpoints are local; all are without it */
  constructor(nodeName?: string) {
    this.#nodeName = nodeName;
  }

  services(): Iterable<Service> {
    return this.#services.values();
  }

  slicesOf(namespace: string, name: string): readonly EndpointSlice[] {
    return [...(this.#slices.get(`${namespace}/${name}`)?.values() ?? [])];
  }

  setService(service: Service): void {
    const key = keyOf(service);
    this.#services.set(key, service);
    this.#dirtyServices.add(key);
  }

  deleteService(service: Meta): void {
    const key = keyOf(service);
    this.#services.delete(key);
    this.#dirtyServices.add(key);
  }

  setEndpointSlice(slice: EndpointSlice): void {
    const key = keyOf(slice);
    const label = slice.metadata.labels?.[SERVICE_NAME_LABEL];
    const owner = label === undefined ? undefined : `${slice.metadata.namespace ?? ""}/${label}`;
    if (this.#ownerOfSlice.get(key) !== owner) this.deleteEndpointSlice(slice);
    if (owner === undefined) return;
    const siblings = this.#slices.get(owner) ?? new Map<string, EndpointSlice>();
    siblings.set(key, slice);
    this.#slices.set(owner, siblings);
    this.#ownerOfSlice.set(key, owner);
    this.#dirtyServices.add(owner);
  }

  deleteEndpointSlice(slice: Meta): void {
    const key = keyOf(slice);
    const owner = this.#ownerOfSlice.get(key);
    if (owner === undefined) return;
    this.#ownerOfSlice.delete(key);
    const siblings = this.#slices.get(owner);
    siblings?.delete(key);
    if (siblings?.size === 0) this.#slices.delete(owner);
    this.#dirtyServices.add(owner);
  }

  setIngress(ingress: Ingress): void {
    this.#ingresses.set(keyOf(ingress), ingress);
    this.#ingressDirty = true;
  }

  deleteIngress(ingress: Meta): void {
    this.#ingresses.delete(keyOf(ingress));
    this.#ingressDirty = true;
  }

  setIngressClass(ingressClass: IngressClass): void {
    this.#classes.set(keyOf(ingressClass), ingressClass);
    this.#ingressDirty = true;
  }

  deleteIngressClass(ingressClass: Meta): void {
    this.#classes.delete(keyOf(ingressClass));
    this.#ingressDirty = true;
  }

  service(namespace: string, name: string): Service | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  /** The Ingresses this proxy serves. */
  servedIngresses(): readonly Ingress[] {
    const classes = [...this.#classes.values()];
    return [...this.#ingresses.values()].filter((ingress) => isOurs(ingress, classes));
  }

  /** The table for what is known now; the same object as before when nothing changed. */
  build(): RoutingTable {
    let changed = false;
    for (const key of this.#dirtyServices) changed = this.#compile(key) || changed;
    this.#dirtyServices.clear();
    const ingress = this.#ingressDirty ? this.#compileIngress() : this.#table.ingress;
    this.#ingressDirty = false;
    if (!changed && ingress === this.#table.ingress) return this.#table;
    const ports = changed ? this.#allPorts() : this.#table.ports;
    this.#table = { ports, ingress };
    return this.#table;
  }

  #compile(key: string): boolean {
    const before = this.#compiled.get(key) ?? [];
    const service = this.#services.get(key);
    const slices = [...(this.#slices.get(key)?.values() ?? [])];
    const fresh = service === undefined ? [] : compileService(service, slices, this.#nodeName);
    const after = fresh.map((port) => before.find((old) => sameServicePort(old, port)) ?? port);
    const same =
      before.length === after.length && after.every((port, index) => port === before[index]);
    if (same) return false;
    if (after.length === 0) this.#compiled.delete(key);
    else this.#compiled.set(key, after);
    return true;
  }

  #compileIngress(): HostRules {
    return compileIngresses(this.servedIngresses());
  }

  #allPorts(): ReadonlyMap<string, ServicePort> {
    const ports = new Map<string, ServicePort>();
    for (const list of this.#compiled.values()) {
      for (const port of list) ports.set(port.key, port);
    }
    return ports;
  }
}

function keyOf(object: Meta): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name ?? ""}`;
}
