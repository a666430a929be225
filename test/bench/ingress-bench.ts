/**
 * Requests a second to one WASM pod through Ingress and NodePort of a whole server, against the pod
 * hit directly, nginx and HAProxy (each with one worker and kept connections; HAProxy both as it
 * balances HTTP and as it passes TCP on) in front of it, in turns. wrk, the peers, the pod and the
 * server are processes of their own.
 *
 *     bun test/bench/ingress-bench.ts [--seconds 5] [--connections 32] [--runs 3]
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { applyObjects, pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, PODS, SERVICES } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnServer, temporaryDirectory, type SpawnedServer } from "../harness/spawned-server.ts";
import { startIngressPeers, type Peer } from "./ingress-peers.ts";
import { loadInTurns, printTargets, type LoadTarget } from "./wrk-load.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "32" },
    runs: { type: "string", default: "3" },
  },
});
const load = { connections: Number(values.connections), seconds: Number(values.seconds) };
const NAME = "hello-http";
/** Compiled code is as fast as it gets after so long. */
const WARM_UP_SECONDS = 1;
const workload = join(import.meta.dir, "..", "..", "workloads", NAME);

/** One pod of the workload with its Service and Ingress; where the pod is. */
async function deploy(server: SpawnedServer): Promise<string> {
  const module = new Uint8Array(readFileSync(join(workload, `${NAME}.wasm`)));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference: `${NAME}:v1`, module });
  await applyObjects(server.client, readFileSync(join(workload, `${NAME}.yaml`), "utf8"));
  const deployments = server.client.resource(DEPLOYMENTS, "default");
  await deployments.patch(NAME, { spec: { replicas: 1 } }, { type: "merge" });
  const podIp = await eventually(async () => {
    const { items } = await server.client.resource(PODS, "default").list();
    return items.length === 1 ? items[0]?.status?.podIP : undefined;
  });
  return `${podIp}:8080`;
}

async function exposeNodePort(server: SpawnedServer): Promise<number> {
  const { spec } = await server.client.resource(SERVICES, "default").create({
    metadata: { name: `${NAME}-node-port` },
    spec: { type: "NodePort", selector: { app: NAME }, ports: [{ port: 8080 }] },
  });
  const port = spec?.ports?.[0]?.nodePort;
  if (port === undefined) throw new Error("the Service has no node port");
  return port;
}

await using server = await spawnServer();
const upstream = await deploy(server);
const nodePort = await exposeNodePort(server);
const directory = temporaryDirectory();
try {
  await using peers = startIngressPeers(directory, upstream);
  const own = { server: server.pid };
  const peer = (name: string, { url, pid }: Peer): LoadTarget => ({
    name,
    url,
    processes: { [name.split(",")[0] ?? name]: pid },
  });
  const targets: LoadTarget[] = [
    { name: "the pod directly", url: `http://${upstream}/` },
    peer("nginx", peers.nginx),
    peer("HAProxy, HTTP", peers.haproxyHttp),
    { name: "kubun Ingress", url: `${server.ingress}/`, processes: own },
    peer("HAProxy, TCP", peers.haproxyTcp),
    { name: "kubun NodePort", url: `http://127.0.0.1:${nodePort}/`, processes: own },
  ];
  for (const { url, name } of targets) {
    const answers = (): Promise<boolean> =>
      fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
    await eventually(answers, { what: `${name} answers` });
  }
  await loadInTurns(targets, { ...load, seconds: WARM_UP_SECONDS, runs: 1 });
  const figures = await loadInTurns(targets, { ...load, runs: Number(values.runs) });
  const rateOf = (name: string): number =>
    figures.find(({ target }) => target.name === name)?.rate ?? Number.NaN;
  const peerNames = ["nginx", "HAProxy, HTTP", "HAProxy, TCP"];
  printTargets(`requests to a WASM pod, ${load.connections} connections`, figures, {
    title: `of ${peerNames.join("; of ")}`,
    cell: ({ rate }) => peerNames.map((name) => `${(rate / rateOf(name)).toFixed(2)}×`).join("; "),
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}
