import { rmSync } from "node:fs";
import { freePort } from "../harness/free-port.ts";
import { temporaryDirectory } from "../harness/spawned-server.ts";

export interface Etcd {
  readonly pids: readonly number[];
  /** One `https://127.0.0.1:PORT` a member, the leader's first; their certificates are their own. */
  readonly urls: readonly string[];
  /** From spawning the processes until every /health says true. */
  readonly readyAfterMs: number;
  stop(): Promise<void>;
}

interface EtcdMember {
  readonly name: string;
  readonly directory: string;
  readonly url: string;
  readonly peerUrl: string;
}

/** Starts Debian's etcd-server on free ports with TLS and fsync, as a peer to measure against. */
export async function startEtcd(options: { members?: number } = {}): Promise<Etcd> {
  const count = options.members ?? 1;
  const scheme = count === 1 ? "http" : "https";
  const members = Array.from({ length: count }, (_, index): EtcdMember => {
    const [port, peerPort] = [freePort(), freePort()];
    return {
      name: `member-${index}`,
      directory: temporaryDirectory(),
      url: `https://127.0.0.1:${port}`,
      peerUrl: `${scheme}://127.0.0.1:${peerPort}`,
    };
  });
  const startedMs = performance.now();
  const children = members.map((member) => spawnMember(member, members));
  for (const { url } of members) while (!(await isHealthy(url))) await Bun.sleep(2);
  const readyAfterMs = performance.now() - startedMs;
  return {
    pids: children.map((child) => child.pid),
    urls: await leaderFirst(members.map(({ url }) => url)),
    readyAfterMs,
    async stop() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.exited));
      for (const { directory } of members) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function spawnMember(member: EtcdMember, all: readonly EtcdMember[]): Bun.Subprocess {
  return Bun.spawn({
    cmd: [
      "etcd",
      `--name=${member.name}`,
      `--data-dir=${member.directory}`,
      "--auto-tls",
      ...(all.length === 1 ? [] : ["--peer-auto-tls"]),
      `--listen-client-urls=${member.url}`,
      `--advertise-client-urls=${member.url}`,
      `--listen-peer-urls=${member.peerUrl}`,
      `--initial-advertise-peer-urls=${member.peerUrl}`,
      `--initial-cluster=${all.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",")}`,
      "--log-level=error",
    ],
    stdio: ["ignore", "ignore", "ignore"],
  });
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { tls: { rejectUnauthorized: false } });
    return (await response.text()).includes("true");
  } catch {
    // It does not listen yet.
    return false;
  }
}

interface StatusAnswer {
  readonly leader: string;
  readonly header: { readonly member_id: string };
}

async function leaderFirst(urls: readonly string[]): Promise<readonly string[]> {
  for (const url of urls) {
    const response = await fetch(`${url}/v3/maintenance/status`, {
      method: "POST",
      body: "{}",
      tls: { rejectUnauthorized: false },
    });
    const status = (await response.json()) as StatusAnswer;
    if (status.leader === status.header.member_id) {
      return [url, ...urls.filter((other) => other !== url)];
    }
  }
  return urls;
}
