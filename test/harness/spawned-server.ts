import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "../../src/client/index.ts";
import type { Client } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";

/** A server in a process of its own, as a user starts it. */
export interface SpawnedServer {
  readonly dataDir: string;
  readonly pid: number;
  readonly url: string;
  readonly ingress: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfig: string;
  readonly client: Client;
  /** fetch that trusts the cluster's authority and carries the token. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** What the server printed so far, both streams. */
  output(): string;
  /** Resolves to the exit code. */
  end(signal: "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGUSR2"): Promise<number | null>;
  /** Ends the server with its pods and removes the data directory. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface SpawnOptions {
  /** An existing data directory; a new one otherwise. */
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** Puts the command elsewhere, into a network namespace for one. */
  readonly command?: (cmd: readonly string[]) => string[];
}

const root = join(import.meta.dir, "..", "..");
const START_DEADLINE_MS = 30_000;
/** How `kubun` is called in tests: as the user does, by its launcher. */
export const KUBUN = join(root, "src", "cmd", "kubun");

/** A directory of its own under the temporary one. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "kubun-test-"));
}

/** Starts `kubun server` on free ports and waits until it is ready and its parts run. */
export async function spawnServer(options: SpawnOptions = {}): Promise<SpawnedServer> {
  const dataDir = options.dataDir ?? temporaryDirectory();
  const ports = ["--https-port", "0", "--http-port", "0"];
  const flags = ["--data-dir", dataDir, "--log-level", "warn", ...ports, ...(options.args ?? [])];
  const command = options.command ?? ((cmd: readonly string[]): string[] => [...cmd]);
  const child = Bun.spawn({
    cmd: command([KUBUN, "server", ...flags]),
    // Without this it is the environment this process started with, and not what set-up.ts added.
    env: process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await eventually(() => ended() || output.includes("kubeconfig:"), {
    deadlineMs: START_DEADLINE_MS,
    what: "the server starts",
  });
  if (ended()) {
    await collected;
    throw new Error(`the server ended:\n${output}`);
  }
  const access = readAccess(dataDir);
  return {
    ...access,
    dataDir,
    pid: child.pid,
    output: () => output,
    async end(signal) {
      child.kill(signal);
      await child.exited;
      await collected;
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGUSR2");
        await child.exited;
      }
      const removal = Bun.spawn([KUBUN, "delete", "--data-dir", dataDir], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      await removal.exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

type Access = Pick<
  SpawnedServer,
  "url" | "ingress" | "ca" | "token" | "kubeconfig" | "client" | "request"
>;

interface Kubeconfig {
  readonly clusters: [{ cluster: { server: string; "certificate-authority-data": string } }];
  readonly users: [{ user: { token: string } }];
}

/** Reads how to reach the server of a data directory. */
export function readAccess(dataDir: string): Access {
  const kubeconfig = join(dataDir, "kubeconfig.yaml");
  const config = Bun.YAML.parse(readFileSync(kubeconfig, "utf8")) as Kubeconfig;
  const { ingress } = JSON.parse(readFileSync(join(dataDir, "server.json"), "utf8")) as {
    ingress: string;
  };
  const { server: url, "certificate-authority-data": authority } = config.clusters[0].cluster;
  const ca = Buffer.from(authority, "base64").toString("utf8");
  const { token } = config.users[0].user;
  const send = (request: Request): Promise<Response> => fetch(request, { tls: { ca } });
  return {
    url,
    ingress,
    ca,
    token,
    kubeconfig,
    client: createClient({ fetch: send, baseUrl: url, token, userAgent: "kubun-test" }),
    request(path, init = {}) {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${token}`);
      return fetch(new Request(url + path, { ...init, headers }), { tls: { ca } });
    },
  };
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runCommand(
  cmd: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; stdin?: string } = {},
): Promise<CommandResult> {
  const child = Bun.spawn({
    cmd: [...cmd],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}
