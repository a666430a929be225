/**
 * Requests a second through Ingress of a whole server, against the same WASM pod hit directly and
 * against nginx (one worker, kept connections) in front of it. wrk, nginx, the pod and the server
 * are processes of their own.
 *
 *     bun test/bench/ingress-bench.ts [--seconds 5] [--connections 32] [--runs 3]
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { applyObjects, pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, PODS } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { freePort } from "../harness/free-port.ts";
import { runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import { median, printTable } from "./measure-process.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "32" },
    runs: { type: "string", default: "3" },
  },
});
const workload = join(import.meta.dir, "..", "..", "workloads", "hello-http");

interface Figures {
  readonly rate: number;
  readonly p50: string;
  readonly p99: string;
}

function nginxConfig(directory: string, port: number, upstream: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(" ");
  return `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1; daemon off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
    events { worker_connections 1024; }
    http {
      access_log off; ${paths}
      upstream backend { server ${upstream}; keepalive 128; keepalive_requests 1000000000; }
      server {
        listen 127.0.0.1:${port};
        keepalive_requests 1000000000;
        location / {
          proxy_pass http://backend;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $host;
          proxy_set_header X-Real-Ip $remote_addr;
          proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Forwarded-Host $host;
        }
      }
    }`;
}

async function load(url: string): Promise<Figures> {
  const flags = ["-t1", `-c${values.connections}`, `-d${values.seconds}s`, "--latency"];
  const { stdout } = await runCommand(["wrk", ...flags, url]);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout);
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p50: /^\s+50%\s+(\S+)$/m.exec(stdout)?.[1] ?? "?",
    p99: /^\s+99%\s+(\S+)$/m.exec(stdout)?.[1] ?? "?",
  };
}

await using server = await spawnServer();
const module = new Uint8Array(readFileSync(join(workload, "hello-http.wasm")));
const connection = { ...server, version: "", startedAt: "", server: server.url };
await pushImage(connection, { reference: "hello-http:v1", module });
await applyObjects(server.client, readFileSync(join(workload, "hello-http.yaml"), "utf8"));
const deployments = server.client.resource(DEPLOYMENTS, "default");
await deployments.patch("hello-http", { spec: { replicas: 1 } }, { type: "merge" });
const podIp = await eventually(async () => {
  const { items } = await server.client.resource(PODS, "default").list();
  return items.length === 1 ? items[0]?.status?.podIP : undefined;
});

const directory = temporaryDirectory();
const config = join(directory, "nginx.conf");
const port = freePort();
writeFileSync(config, nginxConfig(directory, port, `${podIp}:8080`));
const nginx = Bun.spawn(["nginx", "-p", directory, "-c", config, "-e", join(directory, "e.log")]);
try {
  const targets = [
    { name: "the pod directly", url: `http://${podIp}:8080/` },
    { name: "nginx", url: `http://127.0.0.1:${port}/` },
    { name: "kubun Ingress", url: `${server.ingress}/` },
  ].map((target) => ({ ...target, figures: [] as Figures[] }));
  for (const { url } of targets) await eventually(async () => (await fetch(url)).ok);
  for (let run = 0; run < Number(values.runs); run++) {
    for (const { url, figures } of targets) figures.push(await load(url));
  }
  const rateOf = (figures: readonly Figures[]): number => median(figures.map(({ rate }) => rate));
  const nginxRate = rateOf(targets[1]?.figures ?? []);
  printTable(
    [
      `requests to a WASM pod, ${values.connections} connections`,
      "a second",
      "of nginx",
      "p50",
      "p99",
    ],
    targets.map(({ name, figures }) => [
      name,
      rateOf(figures).toFixed(0),
      `${(rateOf(figures) / nginxRate).toFixed(2)}×`,
      figures.map(({ p50 }) => p50).join(", "),
      figures.map(({ p99 }) => p99).join(", "),
    ]),
  );
} finally {
  nginx.kill();
  await nginx.exited;
  rmSync(directory, { recursive: true, force: true });
}
