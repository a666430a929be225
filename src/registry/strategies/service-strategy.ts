import type { Service, ServicePort, ServiceSpec } from "../../api/index.ts";
import {
  FieldPath,
  type FieldError,
  invalidField,
  jsonEquals,
  type KubeObject,
} from "../../apimachinery/index.ts";
import type { AddressPool, NumberPool } from "../address-pool.ts";
import type { Reservation, Strategy } from "../strategy.ts";

/** The clusterIP of a Service that has none. */
const HEADLESS = "None";
const SPEC = FieldPath.root("spec");

export interface ServicePools {
  readonly addresses: AddressPool;
  readonly nodePorts: NumberPool;
  /** "30000-32767", for messages. */
  readonly nodePortRange: string;
}

interface Holdings {
  readonly address: string | undefined;
  readonly ports: ReadonlySet<number>;
}

/** Services hold an address and node ports of the cluster, each given to one Service at a time. */
export class ServiceStrategy implements Strategy {
  readonly #pools: ServicePools;

  /** @param existing the Services whose addresses and ports are taken already */
  constructor(pools: ServicePools, existing: readonly Readonly<KubeObject>[]) {
    this.#pools = pools;
    for (const service of existing) this.#takeAll(holdingsOf(service));
  }

  prepareForCreate(object: KubeObject): void {
    object["status"] = { loadBalancer: {} };
    fillFamilies(specOf(object));
  }

  prepareForUpdate(next: KubeObject, old: Readonly<KubeObject>): void {
    const spec = specOf(next);
    const before = specOf(old);
    if (wantsAddress(spec) && wantsAddress(before)) {
      if ((spec.clusterIP ?? "") === "" && before.clusterIP !== undefined) {
        spec.clusterIP = before.clusterIP;
      }
      // Who writes only clusterIP means the list that goes with it as well.
      const isNew = spec.clusterIP !== before.clusterIP;
      if (isNew && jsonEquals(spec.clusterIPs, before.clusterIPs)) delete spec.clusterIPs;
    }
    dropTypeFields(spec, before);
    keepNodePorts(spec, before);
    fillFamilies(spec);
  }

  reserve(next: KubeObject, old: Readonly<KubeObject> | undefined): Reservation | FieldError[] {
    const spec = specOf(next);
    const held = old === undefined ? NOTHING_HELD : holdingsOf(old);
    const taken: (() => void)[] = [];
    const errors = [...this.#address(spec, held, taken), ...this.#ports(spec, held, taken)];
    const rollback = (): void => taken.forEach((release) => release());
    if (errors.length > 0) {
      rollback();
      return errors;
    }
    fillFamilies(spec);
    return { rollback, commit: () => this.#releaseUnused(held, holdingsOf(next)) };
  }

  removed(object: Readonly<KubeObject>): void {
    this.#releaseUnused(holdingsOf(object), NOTHING_HELD);
  }

  #address(spec: ServiceSpec, held: Holdings, taken: (() => void)[]): FieldError[] {
    const { addresses } = this.#pools;
    if (!wantsAddress(spec) || spec.clusterIP === HEADLESS) return [];
    const wanted = spec.clusterIP ?? "";
    if (wanted !== "" && wanted === held.address) return [];
    const field = SPEC.child("clusterIPs");
    if (wanted === "") {
      const address = addresses.takeAny();
      if (address === undefined) {
        return [invalidField(field, [], "failed to allocate a serviceIP: range is full")];
      }
      spec.clusterIP = address;
      taken.push(() => addresses.release(address));
      return [];
    }
    if (!addresses.contains(wanted)) {
      const range = `The range of valid IPs is ${addresses.cidr}`;
      const why = `the provided IP (${wanted}) is not in the valid range. ${range}`;
      return [invalidField(field, [wanted], `failed to allocate IP ${wanted}: ${why}`)];
    }
    if (!addresses.take(wanted)) {
      const why = "provided IP is already allocated";
      return [invalidField(field, [wanted], `failed to allocate IP ${wanted}: ${why}`)];
    }
    taken.push(() => addresses.release(wanted));
    return [];
  }

  #ports(spec: ServiceSpec, held: Holdings, taken: (() => void)[]): FieldError[] {
    const { nodePorts, nodePortRange } = this.#pools;
    if (!wantsNodePorts(spec)) return [];
    const errors: FieldError[] = [];
    // One Service may use one number for TCP and UDP.
    const own = new Set(held.ports);
    for (const [index, port] of (spec.ports ?? []).entries()) {
      const wanted = port.nodePort ?? 0;
      if (wanted === 0 || own.has(wanted)) continue;
      const field = SPEC.child("ports").index(index).child("nodePort");
      if (!nodePorts.contains(wanted)) {
        const why = `The range of valid ports is ${nodePortRange}`;
        errors.push(invalidField(field, wanted, `provided port is not in the valid range. ${why}`));
      } else if (!nodePorts.take(wanted)) {
        errors.push(invalidField(field, wanted, "provided port is already allocated"));
      } else {
        own.add(wanted);
        taken.push(() => nodePorts.release(wanted));
      }
    }
    for (const [index, port] of (spec.ports ?? []).entries()) {
      if ((port.nodePort ?? 0) !== 0) continue;
      const chosen = nodePorts.takeAny();
      if (chosen === undefined) {
        const field = SPEC.child("ports").index(index).child("nodePort");
        errors.push(invalidField(field, 0, "failed to allocate a nodePort: range is full"));
        break;
      }
      port.nodePort = chosen;
      taken.push(() => nodePorts.release(chosen));
    }
    return errors;
  }

  #takeAll({ address, ports }: Holdings): void {
    if (address !== undefined) this.#pools.addresses.take(address);
    for (const port of ports) this.#pools.nodePorts.take(port);
  }

  #releaseUnused(before: Holdings, after: Holdings): void {
    if (before.address !== undefined && before.address !== after.address) {
      this.#pools.addresses.release(before.address);
    }
    for (const port of before.ports) {
      if (!after.ports.has(port)) this.#pools.nodePorts.release(port);
    }
  }
}

const NOTHING_HELD: Holdings = { address: undefined, ports: new Set() };

function specOf(object: Readonly<KubeObject>): ServiceSpec {
  return (object as Service).spec ?? {};
}

function holdingsOf(object: Readonly<KubeObject>): Holdings {
  const { clusterIP, ports } = specOf(object);
  const address = clusterIP === undefined || clusterIP === "" || clusterIP === HEADLESS;
  const numbers = (ports ?? []).map((port) => port.nodePort ?? 0).filter((port) => port !== 0);
  return { address: address ? undefined : clusterIP, ports: new Set(numbers) };
}

function wantsAddress(spec: ServiceSpec): boolean {
  return spec.type !== "ExternalName";
}

function wantsNodePorts(spec: ServiceSpec): boolean {
  if (spec.type === "NodePort") return true;
  return spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false;
}

function isOpenOutside({ type }: ServiceSpec): boolean {
  return type === "NodePort" || type === "LoadBalancer";
}

/** Fields that mean nothing to the new type go, unless the client has just set them. */
function dropTypeFields(spec: ServiceSpec, before: ServiceSpec): void {
  const drop = (...fields: readonly (keyof ServiceSpec)[]): void => {
    for (const field of fields) if (jsonEquals(spec[field], before[field])) delete spec[field];
  };
  if (!wantsAddress(spec)) drop("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy");
  if (!isOpenOutside(spec)) drop("externalTrafficPolicy", "healthCheckNodePort");
  if (spec.type !== "LoadBalancer") drop("allocateLoadBalancerNodePorts", "loadBalancerClass");
}

/** The lists that go with clusterIP; Kubun's Services are IPv4. */
function fillFamilies(spec: ServiceSpec): void {
  if (!wantsAddress(spec)) return;
  if ((spec.clusterIP ?? "") === "" && spec.clusterIPs?.[0] !== undefined) {
    spec.clusterIP = spec.clusterIPs[0];
  }
  if ((spec.clusterIP ?? "") !== "") spec.clusterIPs ??= [spec.clusterIP ?? ""];
  spec.ipFamilies ??= ["IPv4"];
  spec.ipFamilyPolicy ??= "SingleStack";
}

/** A client that does not know the ports given to its Service must not lose them by an update. */
function keepNodePorts(spec: ServiceSpec, before: ServiceSpec): void {
  const given = new Map((before.ports ?? []).map((port) => [portKey(port), port.nodePort]));
  const used = new Set((spec.ports ?? []).map((port) => port.nodePort));
  for (const port of spec.ports ?? []) {
    const known = given.get(portKey(port));
    if (!wantsNodePorts(spec)) {
      if (port.nodePort === known && wantsNodePorts(before)) delete port.nodePort;
    } else if ((port.nodePort ?? 0) === 0 && known !== undefined && !used.has(known)) {
      port.nodePort = known;
    }
  }
}

function portKey(port: ServicePort): string {
  return `${port.protocol ?? "TCP"}/${port.port}`;
}
