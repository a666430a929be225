import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment, Pod } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, PODS } from "../../src/client/index.ts";
import { locateDataDirectory } from "../../src/cmd/data-directory.ts";
import { randomInteger, SeededRandom } from "../../src/lib/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { MAX_WARM_WORKERS } from "../../src/runtime/wasi/warm-pool.ts";
import { podTraces, portSocket, workerPid } from "../harness/pod-traces.ts";
import type { PodTraces } from "../harness/pod-traces.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const KILLS = Number(process.env["KUBUN_CRASH_KILLS"] ?? 10);
/** Clusters, each with its share of the kills, that live at the same time: most of it is waiting. */
const CLUSTERS = 2;
const SEED = Number(process.env["KUBUN_CRASH_SEED"] ?? 1);
const TEST_TIMEOUT_MS = 180_000;
const CONVERGE = { deadlineMs: 40_000 };
const SURVIVORS = 2;
const CROWD = 6;
/** Reads of the API between the deed and the kill: about a millisecond each. */
const MAX_MOMENTS = 250;

const root = join(import.meta.dir, "..", "..");
const MODULE = readFileSync(join(root, "workloads", "hello-http", "hello-http.wasm"));

/** Different bytes with the same meaning: a custom section (id 0) named "n" at the end. */
function variant(number: number): Uint8Array {
  const content = Buffer.from(`\u0001n${number}`);
  return Buffer.concat([MODULE, Uint8Array.of(0, content.length), content]);
}

function deploymentOf(name: string, replicas: number): Deployment {
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 2,
          containers: [
            {
              name: "web",
              image: "hello-http:v1",
              ports: [{ containerPort: 8080 }],
              readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

function push(server: SpawnedServer, reference: string, module: Uint8Array): Promise<unknown> {
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  return pushImage(connection, { reference, module });
}

async function podsOf(server: SpawnedServer, app: string): Promise<readonly Pod[]> {
  const pods = server.client.resource(PODS, "default");
  return (await pods.list({ labelSelector: `app=${app}` })).items;
}

function isReady(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some(
    ({ type, status }) => type === "Ready" && status === "True",
  );
}

function runsOf(pods: readonly Pod[]): string[] {
  return pods
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .map(({ containerID, restartCount }) => `${containerID} ${restartCount}`)
    .sort();
}

/** The Deployment has what it asks for, and nothing more exists. */
async function converged(server: SpawnedServer, name: string): Promise<boolean> {
  const { metadata, spec, status } = await server.client.resource(DEPLOYMENTS, "default").get(name);
  const wanted = spec?.replicas ?? 0;
  const pods = await podsOf(server, name);
  return (
    status?.observedGeneration === metadata.generation &&
    (status?.updatedReplicas ?? 0) === wanted &&
    pods.length === wanted &&
    pods.every((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod))
  );
}

/** Begins something, without waiting for its end. Rejections are the kill's doing. */
type Deed = (server: SpawnedServer, round: number) => Promise<unknown>;

function patch(server: SpawnedServer, change: object): Promise<unknown> {
  return server.client.resource(DEPLOYMENTS, "default").patch("crowd", change, { type: "merge" });
}

const DEEDS: Readonly<Record<string, Deed>> = {
  "pods start": (server) => patch(server, { spec: { replicas: CROWD } }),
  "a rolling update": (server, round) =>
    patch(server, { spec: { template: { metadata: { annotations: { round: `${round}` } } } } }),
  "pods terminate": (server) => patch(server, { spec: { replicas: 1 } }),
  "images are pushed": async (server, round) => {
    for (let index = 0; ; index++) await push(server, `pushed:v${round}`, variant(index));
  },
  "a worker dies": async (server) => {
    const [pod] = await podsOf(server, "crowd");
    const id = pod?.status?.containerStatuses?.[0]?.containerID?.replace("wasi://", "") ?? "";
    process.kill(workerPid(server.dataDir, id), "SIGKILL");
    await patch(server, { spec: { replicas: CROWD } });
  },
};

/** One cluster whose server is killed again and again. Throws when something is lost or left. */
async function liveThroughKills(seed: number, kills: number): Promise<void> {
  const random = new SeededRandom(seed);
  const names = Object.keys(DEEDS);
  let server = await spawnServer();
  const { dataDir } = server;
  try {
    await push(server, "hello-http:v1", MODULE);
    const deployments = server.client.resource(DEPLOYMENTS, "default");
    await deployments.create(deploymentOf("survivor", SURVIVORS));
    await deployments.create(deploymentOf("crowd", 0));
    await eventually(() => converged(server, "survivor"), CONVERGE);
    const healthy = await podsOf(server, "survivor");

    for (let round = 0; round < kills; round++) {
      const name = names[round % names.length] ?? "";
      const running = server;
      const deed = DEEDS[name]?.(running, round).catch(() => undefined);
      const moments = randomInteger(random, MAX_MOMENTS);
      for (let read = 0; read < moments; read++) await podsOf(running, "crowd");
      await running.end("SIGKILL");
      await deed;
      for (const pod of healthy) {
        // Not by the pod's address: its facade is no promise, other clusters come and go.
        const unix = portSocket(dataDir, pod.metadata.uid ?? "", 8080);
        const answer = await fetch("http://pod/healthz", { unix });
        expect(await answer.text()).toBe("ok\n");
      }
      const before = workerTraces(podTraces(dataDir));
      server = await spawnServer({ dataDir });
      const what = `round ${round} (${name}, ${moments} reads, seed ${seed})`;
      await eventually(() => converged(server, "crowd"), { ...CONVERGE, what });
      await eventually(() => converged(server, "survivor"), { ...CONVERGE, what });
      expect(runsOf(await podsOf(server, "survivor"))).toEqual(runsOf(healthy));
      await eventually(() => holds(() => expectOneEach(dataDir, before)), {
        ...CONVERGE,
        what: `${what}: one each`,
      });
    }

    for (const name of ["crowd", "survivor"]) {
      await server.client.resource(DEPLOYMENTS, "default").delete(name);
    }
    await eventually(() => holds(() => expectNothing(dataDir)), {
      ...CONVERGE,
      what: "nothing is left",
    });
    await server.end("SIGUSR2");
    expect(podTraces(dataDir)).toMatchObject({ workers: [], shells: [] });
  } finally {
    await server.end("SIGKILL");
    await runCommand([KUBUN, "delete", "--data-dir", dataDir]);
  }
  expect(existsSync(locateDataDirectory(dataDir).sockets)).toBe(false);
}

describe("a server killed while pods come and go", () => {
  test(
    "a server killed while pods come and go runs nothing twice and leaves nothing behind",
    async () => {
      const kills = Math.ceil(KILLS / CLUSTERS);
      const seeds = Array.from({ length: CLUSTERS }, (_, index) => SEED + index);
      // The other one goes on to its end, and leaves nothing behind either.
      const ends = await Promise.allSettled(seeds.map((seed) => liveThroughKills(seed, kills)));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    },
    TEST_TIMEOUT_MS,
  );
});

/** The ids of workers that have a process, a directory or a control socket. */
function workerTraces({ workers, workerDirectories, controlSockets }: PodTraces): string[] {
  const ids = [...workers, ...workerDirectories, ...controlSockets];
  return [...new Set(ids.map((id) => id.replace(/\.sock$/, "")))].sort();
}

/**
 * Every worker belongs to one running container, or is one of the few that wait for this server;
 * those that waited for the killed one (of `before`) are gone. Throws.
 */
function expectOneEach(dataDir: string, before: readonly string[]): void {
  const traces = podTraces(dataDir);
  const { workers, recorded } = traces;
  const dead = recorded.filter((id) => !workers.includes(id));
  expect({ dead, twice: recorded.length - new Set(recorded).size }).toEqual({ dead: [], twice: 0 });
  const strangers = workerTraces(traces).filter((id) => !recorded.includes(id));
  expect(strangers.filter((id) => before.includes(id))).toEqual([]);
  expectFew(strangers);
}

/** Throws while something is left but the few workers that wait. */
function expectNothing(dataDir: string): void {
  const traces = podTraces(dataDir);
  const { sandboxes, containers, portDirectories, volumes, logs } = traces;
  const left = { sandboxes, containers, portDirectories, volumes, logs };
  expect(Object.values(left).flat()).toEqual([]);
  expectFew(workerTraces(traces));
}

/** A burst of starts makes the server keep more workers ready, up to its bound. */
function expectFew(waiting: readonly string[]): void {
  if (waiting.length > MAX_WARM_WORKERS) expect(waiting).toEqual([]);
}

function holds(check: () => void): true {
  check();
  return true;
}
