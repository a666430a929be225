import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../test/harness/free-port.ts";
import { eventually } from "../../lib/testing/eventually.ts";

export interface SpawnedEtcd {
  /** Origins of its members. */
  readonly endpoints: readonly string[];
  /** Ends one member at once; its data stay. */
  kill(member: number): Promise<void>;
  restart(member: number): Promise<void>;
  stop(): Promise<void>;
}

/** etcd's own files, and a client that it lets in. */
export interface EtcdFiles {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
  readonly client: { readonly ca: string; readonly cert: string; readonly key: string };
}

function tlsArguments({ certificate, privateKey, ca }: EtcdFiles): string[] {
  return [
    `--cert-file=${certificate}`,
    `--key-file=${privateKey}`,
    `--trusted-ca-file=${ca}`,
    "--client-cert-auth",
  ];
}

/** Why there is no etcd to test with; undefined when there is. In CI it has to be there. */
export function etcdObstacle(): string | undefined {
  if (Bun.which("etcd") !== null) return undefined;
  if (process.env["CI"] !== undefined) throw new Error("etcd is missing: install etcd-server");
  return "etcd is not installed (Debian: apt-get install etcd-server)";
}

/** Starts an etcd cluster on free ports of this machine, without fsync: no power is cut here. */
export async function spawnEtcd(
  options: { members?: number; tls?: EtcdFiles } = {},
): Promise<SpawnedEtcd> {
  const { tls } = options;
  const root = mkdtempSync(join(tmpdir(), "kubun-etcd-"));
  const members = Array.from({ length: options.members ?? 1 }, (_, index) => ({
    name: `m${index}`,
    client: `${tls === undefined ? "http" : "https"}://127.0.0.1:${freePort()}`,
    peer: `http://127.0.0.1:${freePort()}`,
  }));
  const initial = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const start = (index: number): Bun.Subprocess => {
    const { name, client, peer } = members[index] ?? { name: "", client: "", peer: "" };
    return Bun.spawn({
      cmd: [
        "etcd",
        `--name=${name}`,
        `--data-dir=${join(root, name)}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${initial}`,
        ...(tls === undefined ? [] : tlsArguments(tls)),
        "--unsafe-no-fsync",
        "--log-level=error",
      ],
      stdio: ["ignore", "ignore", "ignore"],
    });
  };
  const children = members.map((_, index) => start(index));
  const healthy = (client: string): Promise<boolean> =>
    eventually(
      async () => {
        const answer = await fetch(
          `${client}/health`,
          tls === undefined ? {} : { tls: tls.client },
        );
        return (await answer.text()).includes("true");
      },
      { deadlineMs: 30_000, what: `etcd at ${client} is healthy` },
    );
  await Promise.all(members.map(({ client }) => healthy(client)));
  return {
    endpoints: members.map(({ client }) => client),
    async kill(index) {
      children[index]?.kill("SIGKILL");
      await children[index]?.exited;
    },
    async restart(index) {
      children[index] = start(index);
      await healthy(members[index]?.client ?? "");
    },
    async stop() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.exited));
      rmSync(root, { recursive: true, force: true });
    },
  };
}
