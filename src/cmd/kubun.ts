#!/usr/bin/env bun
import { homedir } from "node:os";
import { join } from "node:path";
import {
  describeServiceRoutes,
  describeStatus,
  findServiceRoutes,
  imageVerbs,
  runProgram,
} from "../cli/index.ts";
import type { ClusterConnection, DataDirOption, Verbs } from "../cli/index.ts";
import { defaultDataDirectory, locateDataDirectory } from "./data-directory.ts";
import { runKubectl } from "./kubectl.ts";
import { groupVerbs } from "./join-verbs.ts";
import { connectToCluster } from "./running-cluster.ts";
import { VERSION } from "./version.ts";

const write = (text: string): void => void process.stdout.write(text);

function connect(options: DataDirOption): ClusterConnection {
  return connectToCluster(locateDataDirectory(options.dataDir));
}

// A verb that only asks does not load the server.
const verbs: Verbs = {
  async server(flags) {
    const { runServer } = await import("./server.ts");
    await runServer(flags, { write });
  },
  async up(flags, { detach }) {
    const { up, upDetached } = await import("./up.ts");
    await (detach ? upDetached : up)(flags, { write });
  },
  async status(options) {
    write(await describeStatus(connect(options), Date.now()));
  },
  async stop({ dataDir }) {
    const { stopCluster } = await import("./stop.ts");
    const stopped = await stopCluster(dataDir);
    write(stopped ? "stopped\n" : `no cluster runs in ${dataDir}\n`);
  },
  async delete({ dataDir }) {
    const { deleteCluster } = await import("./stop.ts");
    await deleteCluster(dataDir);
    write(`deleted ${dataDir}\n`);
  },
  async service(name, options) {
    const { namespace, url } = options;
    const query = { name, namespace, canConnect };
    const routes = await findServiceRoutes(connect(options), query);
    write(url ? `${routes[0]?.url}\n` : describeServiceRoutes(routes));
  },
  ...imageVerbs({
    connect,
    write,
    warn: (text) => void process.stderr.write(text),
    dockerConfig: join(process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker"), "config.json"),
  }),
  kubectl: (args, options) => runKubectl(args, connect(options)),
  async agent(flags) {
    const { runAgent } = await import("./agent.ts");
    await runAgent(flags, { write });
  },
  ...groupVerbs({ write }),
};

async function canConnect(hostname: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname, port, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch {
    // Refused or unreachable: that is the answer.
    return false;
  }
}

/** EX_SOFTWARE of sysexits.h: a defect of the program, told with its stack. */
const EXIT_DEFECT = 70;

async function main(): Promise<number> {
  try {
    return await runProgram(process.argv.slice(2), {
      version: VERSION,
      defaultDataDir: defaultDataDirectory(),
      verbs,
      writeOut: write,
      writeError: (text) => void process.stderr.write(text),
    });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT_DEFECT;
  }
}

process.exit(await main());
