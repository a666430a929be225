import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../lib/index.ts";
import type { NetworkCommands } from "../../network-commands.ts";
import type { PodSandboxConfig } from "../../runtime.ts";
import type { KnownSandbox } from "../pod-networks.ts";
import {
  type BridgeNetworks,
  closeBridgeNetworks,
  createBridgeNetworks,
  tableOf,
} from "./bridge-networks.ts";

const TIMEOUT_MS = 20_000;
const BRIDGE = "kubun-0test";
const RANGES = { clusterCidr: "10.42.0.0/16", serviceCidr: "10.43.0.0/16" };

const obstacle = findObstacle();
const lab = `kubun-net-${process.pid}`;
const pod = `${lab}-pod`;
const outside = `${lab}-out`;
let directory = "";

function findObstacle(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "root on Linux is needed";
  const missing = ["ip", "nft", "nsenter"].filter((tool) => Bun.which(tool) === null);
  return missing.length === 0 ? undefined : `${missing.join(", ")} missing`;
}

async function run(cmd: string[], input = "", env: Record<string, string> = {}) {
  const child = Bun.spawn({
    cmd,
    env: { ...process.env, ...env },
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, stdout, stderr };
}

const inLab = (...cmd: string[]): string[] => ["ip", "netns", "exec", lab, ...cmd];

/** The commands of a machine that is a namespace. */
const commands: NetworkCommands = {
  obstacle: () => undefined,
  async ip(lines, { keepGoing } = {}) {
    const words = ["ip", ...(keepGoing ? ["-force"] : []), "-batch", "-"];
    const { exitCode, stderr } = await run(inLab(...words), `${lines.join("\n")}\n`);
    if (exitCode !== 0 && !keepGoing) throw new Error(stderr);
  },
  async ipJson(words) {
    const { exitCode, stdout, stderr } = await run(inLab("ip", "-json", ...words));
    if (exitCode !== 0) throw new Error(stderr);
    return stdout.trim() === "" ? [] : (JSON.parse(stdout) as unknown[]);
  },
  async nft(script) {
    const { exitCode, stderr } = await run(inLab("nft", "-f", "-"), script);
    if (exitCode !== 0) throw new Error(stderr);
  },
  setKernel(name, value) {
    Bun.spawnSync(inLab("sh", "-c", `echo ${value} >/proc/sys/net/${name}`));
  },
  kernel: (name) =>
    Bun.spawnSync(inLab("cat", `/proc/sys/net/${name}`))
      .stdout.toString()
      .trim(),
};

function openNetworks(): BridgeNetworks {
  return createBridgeNetworks({
    directory: join(directory, "network"),
    bridge: BRIDGE,
    ranges: RANGES,
    async openRanges() {
      const links = (await commands.ipJson(["link", "show"])) as { ifname?: string }[];
      if (links.some(({ ifname }) => ifname === BRIDGE)) return;
      await commands.ip([
        `link add ${BRIDGE} type bridge`,
        `link set ${BRIDGE} up`,
        ...Object.values(RANGES).map((range) => `route append local ${range} dev ${BRIDGE}`),
      ]);
    },
    commands,
    logger: silentLogger,
    routeProtocol: 75,
  });
}

const config: PodSandboxConfig = {
  name: "web",
  namespace: "default",
  uid: "00000000-0000-0000-0000-000000000001",
  attempt: 0,
  hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: "TCP" }],
};

function known(ip: string, more: Partial<KnownSandbox> = {}): KnownSandbox {
  const { name, namespace, uid, attempt, hostPorts = [] } = config;
  return { name, namespace, uid, attempt, ip, hostPorts, ready: true, ...more };
}

/** Calls the plugin as a container runtime does. */
function plugin(networks: BridgeNetworks, command: "ADD" | "DEL") {
  return run(inLab(join(networks.pluginDirectory, "kubun")), "{}", {
    CNI_COMMAND: command,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: `/var/run/netns/${pod}`,
    CNI_IFNAME: "eth0",
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_UID=${config.uid}`,
  });
}

async function cables(): Promise<string[]> {
  const links = (await commands.ipJson(["link", "show"])) as { ifname: string }[];
  return links.flatMap(({ ifname }) => (ifname.startsWith("kv") ? [ifname] : []));
}

/** Whether a connection from one place to another comes about; `nc` would be one more package. */
async function connects(from: string, address: string, port: number): Promise<boolean> {
  const script = `
    Bun.connect({ hostname: "${address}", port: ${port}, socket: { data() {}, open() {
      process.exit(0); } } }).catch(() => process.exit(2));`;
  const cmd = ["timeout", "3", "ip", "netns", "exec", from, process.execPath, "-e", script];
  return (await run(cmd)).exitCode === 0;
}

/** Listens in a namespace; resolves when it does. Answers who connected last. */
async function listen(where: string, address: string, port: number) {
  const script = `
    Bun.listen({ hostname: "${address}", port: ${port}, socket: { data() {}, open(s) {
      console.log(s.remoteAddress); s.end(); } } });
    console.log("ready");`;
  const cmd = ["ip", "netns", "exec", where, process.execPath, "-e", script];
  const child = Bun.spawn({ cmd, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  let text = "";
  const line = async (): Promise<string> => {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) return text;
      text += new TextDecoder().decode(value);
    }
    const end = text.indexOf("\n");
    const found = text.slice(0, end);
    text = text.slice(end + 1);
    return found;
  };
  await line();
  return { peer: line, stop: () => child.kill() };
}

describe.skipIf(obstacle !== undefined)("createBridgeNetworks", () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "kubun-net-"));
    for (const name of [lab, pod, outside]) await run(["ip", "netns", "add", name]);
    const cable = `link add eth0 type veth peer name eth0 netns ${outside}`;
    await commands.ip([
      "link set lo up",
      cable,
      "address add 192.168.77.1/24 dev eth0",
      "link set eth0 mtu 1400 up",
      "route add default via 192.168.77.2",
    ]);
    for (const words of ["address add 192.168.77.2/24 dev eth0", "link set eth0 up"]) {
      await run(["ip", "-n", outside, ...words.split(" ")]);
    }
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const name of [pod, lab, outside]) await run(["ip", "netns", "del", name]);
    rmSync(directory, { recursive: true, force: true });
  }, TIMEOUT_MS);

  test(
    "createBridgeNetworks joins a pod to the node, to Services and to what is outside",
    async () => {
      const networks = openNetworks();
      await networks.open();
      networks.updateRange({ podCidr: "10.42.0.0/20" });
      const { ip } = await networks.prepare(config);
      expect(ip).toBe("10.42.12.2");
      const added = await plugin(networks, "ADD");
      expect(added.exitCode).toBe(0);
      expect(JSON.parse(added.stdout)).toMatchObject({
        interfaces: [{ name: "kv0a2a0c02" }, { name: "eth0", mac: "0a:58:0a:2a:0c:02" }],
        ips: [{ address: "10.42.12.2/22", gateway: "10.42.12.1", interface: 1 }],
      });
      await networks.started(config, known(ip));
      const service = await listen(lab, "10.43.0.10", 53);
      const module = await listen(lab, "10.42.0.2", 80);
      const own = await listen(lab, "127.0.0.1", 81);
      const far = await listen(outside, "192.168.77.2", 80);
      const container = await listen(pod, "0.0.0.0", 80);
      try {
        expect(await connects(pod, "10.43.0.10", 53)).toBe(true);
        expect(await service.peer()).toBe(ip);
        expect(await connects(pod, "10.42.0.2", 80)).toBe(true);
        expect(await module.peer()).toBe(ip);
        // Outside it is seen as the machine, and there the machine's port leads to it.
        expect(await connects(pod, "192.168.77.2", 80)).toBe(true);
        expect(await far.peer()).toBe("192.168.77.1");
        expect(await connects(lab, ip, 80)).toBe(true);
        expect(await container.peer()).toBe("10.42.12.1");
        expect(await connects(outside, "192.168.77.1", 8080)).toBe(true);
        expect(await container.peer()).toBe("192.168.77.2");
        // Even if somebody told the kernel to route it, the machine's loopback is out of reach.
        commands.setKernel("ipv4/conf/all/route_localnet", "1");
        await run(["ip", "-n", pod, "route", "add", "127.0.0.2", "via", "10.42.12.1"]);
        expect(await connects(pod, "127.0.0.1", 81)).toBe(false);
      } finally {
        for (const each of [service, module, own, far, container]) each.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    "createBridgeNetworks finds what it gave again, and removes what nobody has any more",
    async () => {
      const networks = openNetworks();
      await networks.open();
      networks.updateRange({ podCidr: "10.42.0.0/20" });
      expect(networks.has("10.42.12.2")).toBe(true);
      await networks.reconcile([known("10.42.12.2")]);
      await networks.reconcile([known("10.42.12.2")]);
      expect(await cables()).toEqual(["kv0a2a0c02"]);
      const other = { ...config, uid: "other" };
      expect((await networks.prepare(other)).ip).toBe("10.42.12.3");
      // Nobody knows that one yet, because it is being made.
      await networks.reconcile([known("10.42.12.2")]);
      expect(networks.has("10.42.12.3")).toBe(true);
      await networks.release(other);
      await networks.release(other);
      // The agent was killed before it could release the first.
      const next = openNetworks();
      next.updateRange({ podCidr: "10.42.0.0/20" });
      await next.reconcile([]);
      await next.reconcile([]);
      expect(next.has("10.42.12.2")).toBe(false);
      expect(await cables()).toEqual([]);
      expect(readdirSync(join(directory, "network", "pods"))).toEqual([]);
      expect(readdirSync(join(directory, "network", "sandboxes"))).toEqual([]);
      await closeBridgeNetworks(commands, BRIDGE);
      const { exitCode } = await run(inLab("nft", "list", "table", "ip", tableOf(BRIDGE)));
      expect(exitCode).not.toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    "createBridgeNetworks: its plugin takes back what it made, twice, and says what it lacks",
    async () => {
      const networks = openNetworks();
      await networks.open();
      networks.updateRange({ podCidr: "10.42.0.0/20" });
      expect(JSON.parse((await plugin(networks, "ADD")).stdout)).toMatchObject({
        msg: expect.stringContaining("no address was prepared for pod"),
      });
      await networks.prepare(config);
      const first = await plugin(networks, "ADD");
      expect(first.stdout).toContain("kv0a2a0c02");
      expect((await plugin(networks, "DEL")).exitCode).toBe(0);
      expect((await plugin(networks, "DEL")).exitCode).toBe(0);
      expect(await cables()).toEqual([]);
      // A cable that was left by a plugin which was killed is in nobody's way.
      await commands.ip([`link add kv0a2a0c02 type veth peer name left`]);
      expect((await plugin(networks, "ADD")).exitCode).toBe(0);
      expect(await cables()).toEqual(["kv0a2a0c02"]);
      await networks.release(config);
      expect(existsSync(join(directory, "network", "pods", config.uid))).toBe(false);
    },
    TIMEOUT_MS,
  );
});

describe("createBridgeNetworks without a network", () => {
  test("createBridgeNetworks says why a pod of a cluster on loopback has no address", async () => {
    const path = mkdtempSync(join(tmpdir(), "kubun-net-"));
    const networks = createBridgeNetworks({
      directory: path,
      bridge: BRIDGE,
      ranges: { clusterCidr: "127.42.0.0/16", serviceCidr: "127.43.0.0/16" },
      openRanges: () => Promise.resolve(),
      commands,
      logger: silentLogger,
      routeProtocol: 75,
    });
    await networks.open();
    networks.updateRange({ podCidr: "127.42.0.0/20" });
    expect(networks.prepare(config)).rejects.toThrow("hostNetwork: true");
    expect(existsSync(join(networks.configDirectory, "10-kubun.conflist"))).toBe(true);
    rmSync(path, { recursive: true });
  });
});
