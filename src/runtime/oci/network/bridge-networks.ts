import type { Logger } from "../../../lib/index.ts";
import { AddressPool, type ContainerRange, containerRange } from "../../address-pool.ts";
import type { NetworkCommands } from "../../network-commands.ts";
import { type PodSandboxConfig, type RuntimeConfig, RuntimeError } from "../../runtime.ts";
import type { KnownSandbox, PodNetworks, SandboxKey } from "../pod-networks.ts";
import { AttachmentFiles } from "./attachment-files.ts";
import { CABLE_PREFIX, cableOf } from "./cni-plugin.ts";
import { StrayNamespaces } from "./stray-namespaces.ts";
import { deleteTableScript, type PodHostPort, tableScript } from "./table-rules.ts";

export interface BridgeNetworksOptions {
  /** The plugin and what sandboxes were given; made when it is needed. */
  readonly directory: string;
  /** The name of the bridge, 15 characters at most; the table of nft is named after it. */
  readonly bridge: string;
  readonly ranges: { readonly clusterCidr: string; readonly serviceCidr: string };
  /** Makes the bridge and the routes of the cluster's ranges. Idempotent. */
  readonly openRanges: () => Promise<void>;
  readonly commands: NetworkCommands;
  readonly logger: Logger;
  /** Where the container runtime keeps the network namespaces of our pods, and of no others. */
  readonly namespaceDirectory?: string;
  /** The number that our routes carry. */
  readonly routeProtocol: number;
}

export interface BridgeNetworks extends PodNetworks {
  /** Whether a container pod of this node has the address. */
  has(ip: string): boolean;
}

const IP_FORWARD = "ipv4/ip_forward";
const DEFAULT_MTU = 1500;
const LOOPBACK_FIRST_OCTET = "127.";

/** The pods' network on this machine: a bridge, a cable a pod, and a table of nft. */
export function createBridgeNetworks(options: BridgeNetworksOptions): BridgeNetworks {
  return new NodeBridge(options);
}

interface Held extends SandboxKey {
  readonly ip: string;
  readonly hostPorts: readonly PodHostPort[];
  /** Not seen yet in what the container runtime has: it may be making it. */
  readonly underWay: boolean;
}

class NodeBridge implements BridgeNetworks {
  readonly pluginDirectory: string;
  readonly configDirectory: string;
  readonly #options: BridgeNetworksOptions;
  readonly #files: AttachmentFiles;
  readonly #namespaces: StrayNamespaces;
  readonly #held = new Map<string, Held>();
  #range: ContainerRange | undefined;
  #pool: AddressPool | undefined;
  #mtu = DEFAULT_MTU;
  #laid: Promise<void> | undefined;
  /** The rules in force: none are written twice. */
  #script = "";
  #writing = Promise.resolve();
  /** Cables that belonged to nobody when they were last looked at. */
  #strays = new Set<string>();

  constructor(options: BridgeNetworksOptions) {
    this.#options = options;
    this.#files = new AttachmentFiles(options.directory);
    this.#namespaces = new StrayNamespaces(options.namespaceDirectory, options.logger);
    this.pluginDirectory = this.#files.pluginDirectory;
    this.configDirectory = this.#files.configDirectory;
    for (const { key, ip } of this.#files.load()) {
      this.#held.set(keyOf(key), { ...key, ip, hostPorts: [], underWay: false });
    }
  }

  async open(): Promise<void> {
    this.#files.open();
    this.#laid = undefined;
    this.#script = "";
    // Pods on the machine's own network need nothing else: the others are told by `prepare`.
    if (this.#obstacle() === undefined && this.#range !== undefined) await this.#lay();
  }

  updateRange({ podCidr }: RuntimeConfig): void {
    const range = containerRange(podCidr);
    if (range.cidr === this.#range?.cidr) return;
    this.#range = range;
    this.#laid = undefined;
    this.#pool = new AddressPool(podCidr, 0, "containers");
    for (const { ip } of this.#held.values()) this.#pool.hold(ip);
  }

  async prepare(config: PodSandboxConfig): Promise<{ readonly ip: string }> {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw new RuntimeError("unsupported", obstacle);
    if (this.#range === undefined || this.#pool === undefined) {
      throw new RuntimeError("exhausted", "the node has no range of pod addresses yet");
    }
    await this.#lay();
    const { uid, attempt } = config;
    const key = keyOf(config);
    const ip = this.#held.get(key)?.ip ?? this.#pool.take();
    this.#held.set(key, { uid, attempt, ip, hostPorts: [], underWay: true });
    const { prefixLength, gateway } = this.#range;
    const { bridge } = this.#options;
    this.#files.save(config, { ip, prefixLength, gateway, bridge, mtu: this.#mtu });
    return { ip };
  }

  async started(config: PodSandboxConfig, sandbox: KnownSandbox): Promise<void> {
    if (sandbox.ip === "" || config.host?.network === true) return;
    this.#know({ ...sandbox, hostPorts: config.hostPorts ?? sandbox.hostPorts });
    await this.#writeTable();
  }

  async release(key: SandboxKey): Promise<void> {
    const held = this.#held.get(keyOf(key));
    if (held === undefined) return;
    this.#forget(held);
    if (held.hostPorts.length > 0) await this.#writeTable();
  }

  async reconcile(known: readonly KnownSandbox[]): Promise<void> {
    const keys = new Set(known.map(keyOf));
    for (const sandbox of known) if (sandbox.ip !== "") this.#know(sandbox);
    const held = [...this.#held.values()];
    for (const one of held) if (!one.underWay && !keys.has(keyOf(one))) this.#forget(one);
    this.#files.sweep(new Set([...this.#held.values()].map(({ uid }) => uid)));
    const creating = [...this.#held.values()].some(({ underWay }) => underWay);
    if (!creating) {
      const paths = known.flatMap(({ networkNamespace }) => networkNamespace ?? []);
      await this.#namespaces.sweep(new Set(paths));
    }
    if (this.#obstacle() !== undefined || this.#held.size + known.length === 0) {
      if (this.#obstacle() === undefined) await this.#sweepCables();
      return;
    }
    if (this.#range === undefined) return;
    await this.#lay();
    await this.#sweepCables();
    await this.#writeTable();
  }

  has(ip: string): boolean {
    for (const held of this.#held.values()) if (held.ip === ip) return true;
    return false;
  }

  /** Why no container of this node can have an address of its own. */
  #obstacle(): string | undefined {
    const { commands, ranges } = this.#options;
    if (ranges.clusterCidr.startsWith(LOOPBACK_FIRST_OCTET)) {
      return (
        `the cluster's pods have addresses of ${ranges.clusterCidr}, which lead nowhere from a ` +
        "container: give the pod hostNetwork: true, or found the cluster anew as root where " +
        "containerd, runc, iproute2 and nftables are installed"
      );
    }
    const obstacle = commands.obstacle();
    return obstacle === undefined ? undefined : `containers have no network: ${obstacle}`;
  }

  #know({ uid, attempt, ip, hostPorts, ready }: KnownSandbox): void {
    const key = keyOf({ uid, attempt });
    this.#pool?.hold(ip);
    const ports = ready ? hostPorts.map((port) => ({ ...port, ip })) : [];
    this.#held.set(key, { uid, attempt, ip, hostPorts: ports, underWay: false });
  }

  #forget(held: Held): void {
    this.#held.delete(keyOf(held));
    this.#files.remove(held);
    if (!this.has(held.ip)) this.#pool?.release(held.ip);
  }

  /** Makes the machine ready for containers, once. Errors: `unsupported`. */
  #lay(): Promise<void> {
    this.#laid ??= this.#layNow().catch((error: Error) => {
      this.#laid = undefined;
      throw new RuntimeError("unsupported", `containers have no network: ${error.message}`, {
        cause: error,
      });
    });
    return this.#laid;
  }

  async #layNow(): Promise<void> {
    const { commands, bridge, openRanges, routeProtocol } = this.#options;
    const range = this.#range;
    if (range === undefined) throw new Error("the node has no range of pod addresses yet");
    await openRanges();
    const { cidr, gateway, prefixLength } = range;
    const others = await this.#addressesOf(bridge, gateway);
    // In the kernel's first table, where the route of the whole range makes all of it local: the
    // longer prefix wins there, and would not be asked for in any other.
    const toContainers = `${cidr} dev ${bridge} table local scope link src ${gateway}`;
    await commands.ip([
      ...others.map((address) => `address del ${address} dev ${bridge}`),
      `address replace ${gateway}/${prefixLength} dev ${bridge} noprefixroute`,
      `route replace ${toContainers} protocol ${routeProtocol}`,
    ]);
    // Routers announce themselves to whoever listens: a pod could be one.
    if (commands.kernel(`ipv6/conf/${bridge}/disable_ipv6`) === "0") {
      commands.setKernel(`ipv6/conf/${bridge}/disable_ipv6`, "1");
    }
    if (commands.kernel(IP_FORWARD) === "0") commands.setKernel(IP_FORWARD, "1");
    this.#mtu = await this.#outerMtu();
    await this.#writeTable();
  }

  /** Addresses that the bridge has of a range that this node had before. */
  async #addressesOf(device: string, except: string): Promise<string[]> {
    const words = ["-4", "address", "show", "dev", device];
    const [found] = (await this.#options.commands.ipJson(words)) as {
      readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
    }[];
    return (found?.addr_info ?? []).flatMap(({ local, prefixlen }) =>
      local === undefined || local === except ? [] : [`${local}/${prefixlen}`],
    );
  }

  /** What goes further than this machine must fit where it leaves. */
  async #outerMtu(): Promise<number> {
    const { commands } = this.#options;
    const routes = (await commands.ipJson(["-4", "route", "show", "default"])) as {
      readonly dev?: string;
    }[];
    const dev = routes[0]?.dev;
    if (dev === undefined) return DEFAULT_MTU;
    const [link] = (await commands.ipJson(["link", "show", "dev", dev])) as {
      readonly mtu?: number;
    }[];
    return Math.min(link?.mtu ?? DEFAULT_MTU, DEFAULT_MTU);
  }

  /** One change of the table at a time, each with what is true by then. */
  #writeTable(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#writeTableNow());
    return this.#writing;
  }

  async #writeTableNow(): Promise<void> {
    const { bridge, commands, ranges } = this.#options;
    if (this.#range === undefined) return;
    const script = tableScript({
      table: tableOf(bridge),
      bridge,
      containers: this.#range.cidr,
      inside: [ranges.clusterCidr, ranges.serviceCidr],
      hostPorts: [...this.#held.values()].flatMap(({ hostPorts }) => hostPorts),
    });
    if (script === this.#script) return;
    await commands.nft(script);
    this.#script = script;
  }

  /**
   * Removes cables that belong to no pod. One that a container runtime is about to take back itself
   * is given until the next look.
   */
  async #sweepCables(): Promise<void> {
    const { commands, bridge, logger } = this.#options;
    const words = ["link", "show", "master", bridge];
    const links = await commands.ipJson(words).catch(() => []);
    const mine = new Set([...this.#held.values()].map(({ ip }) => cableOf(ip)));
    const strays = (links as { readonly ifname?: string }[]).flatMap(({ ifname = "" }) =>
      ifname.startsWith(CABLE_PREFIX) && !mine.has(ifname) ? [ifname] : [],
    );
    const gone = strays.filter((name) => this.#strays.has(name));
    this.#strays = new Set(strays.filter((name) => !gone.includes(name)));
    if (gone.length === 0) return;
    logger.warn("cables of pods that are gone are removed", { cables: gone });
    await commands.ip(
      gone.map((name) => `link del ${name}`),
      { keepGoing: true },
    );
  }
}

function keyOf({ uid, attempt }: SandboxKey): string {
  return `${uid}_${attempt}`;
}

/** Takes away the rules of a bridge whose pods are gone. */
export async function closeBridgeNetworks(
  commands: NetworkCommands,
  bridge: string,
): Promise<void> {
  await commands.nft(deleteTableScript(tableOf(bridge)));
}

/** The table of a node's bridge. */
export function tableOf(bridge: string): string {
  return bridge.replaceAll("-", "_");
}
