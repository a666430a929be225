import { rmSync } from "node:fs";
import { freePort } from "../harness/free-port.ts";
import { temporaryDirectory } from "../harness/spawned-server.ts";

export interface Etcd {
  readonly pid: number;
  /** `https://127.0.0.1:PORT`; its certificate is its own. */
  readonly url: string;
  /** From spawning the process until /health says true. */
  readonly readyAfterMs: number;
  stop(): Promise<void>;
}

/** Starts Debian's etcd-server on free ports with TLS and fsync, as a peer to measure against. */
export async function startEtcd(): Promise<Etcd> {
  const directory = temporaryDirectory();
  const [clientPort, peerPort] = [freePort(), freePort()];
  const url = `https://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const startedMs = performance.now();
  const child = Bun.spawn({
    cmd: [
      "etcd",
      `--data-dir=${directory}`,
      "--auto-tls",
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      "--log-level=error",
    ],
    stdio: ["ignore", "ignore", "ignore"],
  });
  while (!(await isHealthy(url))) await Bun.sleep(2);
  const readyAfterMs = performance.now() - startedMs;
  return {
    pid: child.pid,
    url,
    readyAfterMs,
    async stop() {
      child.kill("SIGTERM");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
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
