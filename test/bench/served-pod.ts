import { readFileSync } from "node:fs";
import type { Container, Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { INGRESSES, PODS, SERVICES } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { workerPid } from "../harness/pod-traces.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const PORT = 8080;
const READY_DEADLINE_MS = 60_000;
/** Pods that ask for nothing run after all others, the load generator among them. */
const REQUESTED_CPU = "300m";

export interface ServedPod {
  /** At the pod's own address. */
  readonly url: string;
  /** What the Ingress knows it by. */
  readonly host: string;
  readonly pid: number;
}

export interface ServedPodOptions {
  readonly name: string;
  /** The file of a module or component. */
  readonly module: string;
  readonly runtimeClass?: "wasi" | "wagi";
  readonly annotations?: Readonly<Record<string, string>>;
  readonly container?: Partial<Container>;
}

/** A pod that answers HTTP, with a Service and an Ingress of its name; resolves when both lead to it. */
export async function servePod(
  server: SpawnedServer,
  options: ServedPodOptions,
): Promise<ServedPod> {
  const { client, dataDir } = server;
  const { name } = options;
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  const module = new Uint8Array(readFileSync(options.module));
  await pushImage(connection, { reference: `${name}:v1`, module });
  await client.resource(PODS, "default").create(podOf(options));
  await client.resource(SERVICES, "default").create({
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: PORT }] },
  });
  const host = `${name}.test`;
  const backend = { service: { name, port: { number: 80 } } };
  const rules = [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }];
  await client.resource(INGRESSES, "default").create({ metadata: { name }, spec: { rules } });
  await eventually(async () => (await fetch(server.ingress, { headers: { host } })).ok, {
    deadlineMs: READY_DEADLINE_MS,
    what: `${name} answers through the Ingress`,
  });
  const { status } = await client.resource(PODS, "default").get(name);
  const id = (status?.containerStatuses?.[0]?.containerID ?? "").replace(/^.*:\/\//, "");
  return { url: `http://${status?.podIP}:${PORT}`, host, pid: workerPid(dataDir, id) };
}

function podOf({ name, runtimeClass, annotations, container }: ServedPodOptions): Pod {
  const ports = [{ containerPort: PORT }];
  const resources = { requests: { cpu: REQUESTED_CPU } };
  return {
    metadata: { name, labels: { app: name }, annotations: { ...annotations } },
    spec: {
      runtimeClassName: runtimeClass ?? "wasi",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: `${name}:v1`, ports, resources, ...container }],
    },
  };
}
