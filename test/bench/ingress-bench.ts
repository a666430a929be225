/**
 * Requests a second through Ingress, against the backend hit directly and against nginx in front of
 * it. wrk, the backend (Bun.serve on a Unix socket and on TCP) and each proxy are processes of
 * their own; nginx has one worker and keeps its connections, as this proxy has and does.
 *
 *     bun test/bench/ingress-bench.ts [--seconds 5] [--connections 32] [--runs 3]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createClient,
  ENDPOINT_SLICES,
  FakeApi,
  INGRESS_CLASSES,
  INGRESSES,
  SERVICES,
} from "../../src/client/index.ts";
import { silentLogger } from "../../src/lib/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { systemClock } from "../../src/os/index.ts";
import { createProxy } from "../../src/proxy/index.ts";
import { ingress, ingressClass, service, slice } from "../../src/proxy/testing/routing-script.ts";
import { median, printTable, sampleProcess } from "./measure-process.ts";

const HOST = "127.0.0.1";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "32" },
    runs: { type: "string", default: "3" },
    role: { type: "string", default: "bench" },
    socket: { type: "string", default: "" },
    port: { type: "string", default: "0" },
  },
});

function serveBackend(): void {
  const answer = (): Response => new Response("Hello from the backend\n");
  Bun.serve({ unix: values.socket, fetch: answer });
  Bun.serve({ hostname: HOST, port: Number(values.port), fetch: answer });
}

async function serveProxy(): Promise<void> {
  const api = new FakeApi({ clock: systemClock });
  const kubun = ingressClass("kubun", { controller: "kubun.dev/ingress", isDefault: true });
  api.seed(INGRESS_CLASSES, kubun);
  api.seed(SERVICES, service("d/web", { clusterIP: "None", ports: [{ port: 80 }] }));
  api.seed(ENDPOINT_SLICES, slice("d/web", { port: 8080 }, { "127.42.0.1": "ready" }));
  api.seed(INGRESSES, ingress("d/main", ["Prefix / web:80"]));
  const proxy = createProxy({
    client: createClient({ fetch: api.fetch, userAgent: "bench" }),
    clock: systemClock,
    logger: silentLogger,
    endpointSocket: () => values.socket,
    nodePortAddress: HOST,
    ingress: { hostname: HOST, port: Number(values.port) },
  });
  await proxy.start(new AbortController().signal);
}

function nginxConfig(directory: string, port: number): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(" ");
  return `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1; daemon off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
    events { worker_connections 1024; }
    http {
      access_log off; ${paths}
      upstream backend { server unix:${directory}/backend.sock; keepalive 128; }
      server {
        listen ${HOST}:${port};
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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

interface Figures {
  readonly rate: number;
  readonly p50: string;
  readonly p99: string;
}

async function load(port: number): Promise<Figures> {
  const flags = ["-t1", `-c${values.connections}`, `-d${values.seconds}s`, "--latency"];
  const wrk = Bun.spawn(["wrk", ...flags, `http://${HOST}:${port}/`], { stdout: "pipe" });
  const text = await new Response(wrk.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p50: /^\s+50%\s+(\S+)$/m.exec(text)?.[1] ?? "?",
    p99: /^\s+99%\s+(\S+)$/m.exec(text)?.[1] ?? "?",
  };
}

async function bench(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-bench-"));
  const socket = join(directory, "backend.sock");
  const ports = { direct: await freePort(), nginx: await freePort(), kubun: await freePort() };
  const config = join(directory, "nginx.conf");
  writeFileSync(config, nginxConfig(directory, ports.nginx));
  const role = (name: string, port: number): string[] => {
    const flags = ["--role", name, "--socket", socket, "--port", `${port}`];
    return [process.execPath, import.meta.path, ...flags];
  };
  const spawned = [
    Bun.spawn(role("backend", ports.direct)),
    Bun.spawn(["nginx", "-p", directory, "-c", config, "-e", join(directory, "error.log")]),
    Bun.spawn(role("proxy", ports.kubun)),
  ];
  try {
    for (const port of Object.values(ports)) {
      await eventually(async () => (await fetch(`http://${HOST}:${port}/`)).ok);
    }
    const figures: Record<keyof typeof ports, Figures[]> = { direct: [], nginx: [], kubun: [] };
    for (let run = 0; run < Number(values.runs); run++) {
      for (const name of ["direct", "nginx", "kubun"] as const) {
        figures[name].push(await load(ports[name]));
      }
    }
    const rateOf = (name: keyof typeof ports): number =>
      median(figures[name].map((each) => each.rate));
    const rows = (["direct", "nginx", "kubun"] as const).map((name) => [
      name,
      rateOf(name).toFixed(0),
      (rateOf(name) / rateOf("nginx")).toFixed(2),
      figures[name].map((each) => each.p50).join(", "),
      figures[name].map((each) => each.p99).join(", "),
    ]);
    const title = `Ingress, ${values.connections} connections`;
    printTable([title, "requests/s", "of nginx", "p50", "p99"], rows);
    const pss = sampleProcess(spawned[2]?.pid ?? 0).pssBytes / 1024 / 1024;
    process.stdout.write(`proxy process after the load: ${pss.toFixed(0)} MiB PSS\n`);
  } finally {
    for (const child of spawned) child.kill();
    await Promise.all(spawned.map((child) => child.exited));
    rmSync(directory, { recursive: true });
  }
}

if (values.role === "backend") serveBackend();
else if (values.role === "proxy") await serveProxy();
else await bench();
