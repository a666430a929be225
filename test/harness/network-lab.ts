import { runCommand } from "./spawned-server.ts";

/** A machine of the laboratory: a network namespace with one interface and its own loopback. */
export interface LabHost {
  readonly namespace: string;
  /** "10.99.0.1" */
  readonly address: string;
  /** Puts a command into this host. */
  command(cmd: readonly string[]): string[];
}

/** Hosts on one switch, all of it in namespaces of its own: nothing of the machine is touched. */
export interface NetworkLab extends AsyncDisposable {
  readonly hosts: readonly LabHost[];
  /** Frames from one host to another are lost from now on; the way back stays open. */
  cut(from: LabHost, to: LabHost): Promise<void>;
  /** Nothing goes between this host and the others. */
  isolate(host: LabHost): Promise<void>;
  /** Every frame arrives again. */
  heal(): Promise<void>;
}

const TABLE = "table bridge lab";
let labs = 0;

/** Says why network namespaces cannot be made here; undefined when they can. */
export async function labObstacle(): Promise<string | undefined> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "root on Linux is needed";
  for (const tool of ["ip", "nft"]) {
    if (Bun.which(tool) === null) return `${tool} is missing (iproute2, nftables)`;
  }
  const name = `kubun-probe-${process.pid}-${labs++}`;
  const added = await runCommand(["ip", "netns", "add", name]);
  await runCommand(["ip", "netns", "del", name]);
  return added.exitCode === 0 ? undefined : `no network namespaces: ${added.stderr.trim()}`;
}

/** Makes so many hosts on one switch. */
export async function buildNetworkLab(count: number): Promise<NetworkLab> {
  const prefix = `kubun-lab-${process.pid}-${labs++}`;
  const bridge = `${prefix}-switch`;
  const hosts = Array.from({ length: count }, (_, index) => labHost(prefix, index));
  const run = async (...cmd: string[]): Promise<void> => {
    const { exitCode, stderr } = await runCommand(cmd);
    if (exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`);
  };
  const inSwitch = (...cmd: string[]): Promise<void> => run("ip", "netns", "exec", bridge, ...cmd);
  const nft = (rule: string): Promise<void> => inSwitch("nft", rule);
  const heal = async (): Promise<void> => {
    await nft(`add ${TABLE}`);
    await nft(`delete ${TABLE}`);
    await nft(`add ${TABLE}`);
    await nft("add chain bridge lab forward { type filter hook forward priority 0 ; }");
  };
  const cut = (from: LabHost, to: LabHost): Promise<void> =>
    nft(`add rule bridge lab forward iifname "${portOf(from)}" oifname "${portOf(to)}" drop`);
  const dispose = async (): Promise<void> => {
    for (const name of [...hosts.map(({ namespace }) => namespace), bridge]) {
      await runCommand(["ip", "netns", "del", name]);
    }
  };
  try {
    await run("ip", "netns", "add", bridge);
    await inSwitch("ip", "link", "add", "br0", "type", "bridge");
    await inSwitch("ip", "link", "set", "br0", "up");
    for (const host of hosts) await plugIn(host, bridge, run);
    await heal();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    hosts,
    cut,
    heal,
    async isolate(host) {
      for (const other of hosts) {
        if (other === host) continue;
        await cut(host, other);
        await cut(other, host);
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function labHost(prefix: string, index: number): LabHost {
  const namespace = `${prefix}-${index + 1}`;
  return {
    namespace,
    address: `10.99.0.${index + 1}`,
    command: (cmd) => ["ip", "netns", "exec", namespace, ...cmd],
  };
}

/** The switch's end of a host's cable. */
function portOf(host: LabHost): string {
  return `port${host.address.split(".").at(-1)}`;
}

async function plugIn(
  { namespace, address, command }: LabHost,
  bridge: string,
  run: (...cmd: string[]) => Promise<void>,
): Promise<void> {
  const port = portOf({ namespace, address, command });
  await run("ip", "netns", "add", namespace);
  const cable = ["type", "veth", "peer", "name", "eth0", "netns", namespace];
  await run("ip", "-n", bridge, "link", "add", port, ...cable);
  await run("ip", "-n", bridge, "link", "set", port, "master", "br0", "up");
  await run("ip", "-n", namespace, "link", "set", "lo", "up");
  await run("ip", "-n", namespace, "address", "add", `${address}/24`, "dev", "eth0");
  await run("ip", "-n", namespace, "link", "set", "eth0", "up");
}
