import { eventually } from "../../src/lib/testing/eventually.ts";
import type { LabHost } from "./network-lab.ts";
import { realClient } from "./real-kubectl.ts";
import { KUBUN, runCommand, spawnServer } from "./spawned-server.ts";
import type { SpawnedServer } from "./spawned-server.ts";

/** A member as GET /kubun/v1/members tells it. */
export interface ListedMember {
  readonly id: number;
  readonly name: string;
  readonly role: "voter" | "witness" | "learner";
  readonly leader: boolean;
  readonly peerAddress: string;
}

/** Several servers of one cluster, each a process; `servers` changes when one is started again. */
export interface ServerGroup extends AsyncDisposable {
  readonly servers: SpawnedServer[];
  /** Kills one, in the way a power cut does to a process. */
  kill(index: number): Promise<void>;
  /** Starts a killed one again on its directory. */
  restart(index: number): Promise<void>;
  /** The index of the server that leads, as a server that runs tells it. */
  leader(): Promise<number>;
}

export interface ServerGroupOptions {
  readonly servers: number;
  /** One for each server; without them all run on 127.0.0.1. */
  readonly hosts?: readonly LabHost[];
  readonly args?: readonly string[];
  /** Where each keeps its data; new directories unless given. */
  readonly dataDirs?: readonly string[];
}

const START_DEADLINE_MS = 60_000;

/** Starts a first server, and joins the others to it as voters. */
export async function spawnServerGroup(options: ServerGroupOptions): Promise<ServerGroup> {
  const servers: SpawnedServer[] = [];
  const killed = new Set<number>();
  const start = async (index: number, more: readonly string[], dataDir?: string) => {
    const host = options.hosts?.[index];
    const address = host === undefined ? [] : ["--bind-address", host.address];
    const own = ["--node-name", `server-${index + 1}`, "--peer-port", "0", ...address];
    return spawnServer({
      args: [...own, ...(options.args ?? []), ...more],
      ...(dataDir === undefined ? {} : { dataDir }),
      ...(host === undefined ? {} : { command: host.command }),
    });
  };
  const group: ServerGroup = {
    servers,
    async kill(index) {
      killed.add(index);
      await at(servers, index).end("SIGKILL");
    },
    async restart(index) {
      const { dataDir } = at(servers, index);
      servers[index] = await start(index, [], dataDir);
      killed.delete(index);
    },
    leader: () =>
      findLeader(
        servers.filter((_, index) => !killed.has(index)),
        options.hosts,
      ),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
  try {
    servers.push(await start(0, [], options.dataDirs?.[0]));
    for (let index = 1; index < options.servers; index++) {
      const join = await joinArgs(at(servers, 0), "server", options.hosts?.[0]);
      servers.push(await start(index, join, options.dataDirs?.[index]));
    }
    await eventually(
      async () => {
        const members = await listMembers(at(servers, 0), options.hosts?.[0]);
        const counted = members.filter(({ role }) => role !== "learner");
        return counted.length === options.servers;
      },
      { deadlineMs: START_DEADLINE_MS, what: "every server votes" },
    );
    return group;
  } catch (error) {
    await group[Symbol.asyncDispose]();
    throw error;
  }
}

/** The flags with which another machine joins. */
export async function joinArgs(
  { dataDir, url }: Pick<SpawnedServer, "dataDir" | "url">,
  role: "server" | "agent",
  host?: LabHost,
): Promise<string[]> {
  const command = [KUBUN, "token", "create", "--role", role, "--data-dir", dataDir];
  const result = await runCommand(host === undefined ? command : host.command(command));
  if (result.exitCode !== 0) throw new Error(`no token was made: ${result.stderr}`);
  return ["--join", url, "--token", result.stdout.trim()];
}

/** Asks one server who is in the group, by kubectl: it can stand in a network namespace. */
export async function listMembers(
  { kubeconfig }: Pick<SpawnedServer, "kubeconfig">,
  host?: LabHost,
): Promise<readonly ListedMember[]> {
  const kubectl = [realClient("kubectl"), "--kubeconfig", kubeconfig];
  const command = [...kubectl, "get", "--raw", "/kubun/v1/members"];
  const result = await runCommand(host === undefined ? command : host.command(command));
  if (result.exitCode !== 0) throw new Error(`the members are not told: ${result.stderr}`);
  const { members } = JSON.parse(result.stdout) as { members: ListedMember[] };
  return members;
}

async function findLeader(
  running: readonly SpawnedServer[],
  hosts: readonly LabHost[] | undefined,
): Promise<number> {
  return eventually(
    async () => {
      for (const server of running) {
        const members = await listMembers(server, hosts?.[0]).catch(() => []);
        const leader = members.find((member) => member.leader);
        if (leader !== undefined) return Number(leader.name.split("-").at(-1)) - 1;
      }
      return undefined;
    },
    { deadlineMs: START_DEADLINE_MS, what: "a server leads" },
  );
}

function at(servers: readonly SpawnedServer[], index: number): SpawnedServer {
  const server = servers[index];
  if (server === undefined) throw new Error(`there is no server ${index}`);
  return server;
}
