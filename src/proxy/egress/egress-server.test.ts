import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Service } from "../../api/index.ts";
import { CLUSTER_DOMAIN, ClusterZone } from "../../dns/index.ts";
import { ManualClock, silentLogger, type Clock } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createEndpointDial } from "../net/endpoint-dialer.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import type { RemoteDialer } from "../net/remote-dialer.ts";
import { RoutingBuilder } from "../routing/routing-builder.ts";
import {
  answering,
  ok,
  RawClient,
  RawServer,
  wallClock,
  type ServerScript,
} from "../testing/raw-socket.ts";
import { service, slice } from "../testing/routing-script.ts";
import { EgressServer, type EgressServerOptions } from "./egress-server.ts";
import { LOOKUP_DEADLINE_MS } from "./outside-targets.ts";

const OUTSIDE: Readonly<Record<string, string>> = {
  "example.com": "127.0.0.1",
  "api.example.com": "192.0.2.1",
};

describe("EgressServer", () => {
  let directory: string;
  let egress: EgressServer;
  let states: EndpointStates;
  let builder: RoutingBuilder;
  let servers: RawServer[];
  let clients: RawClient[];
  let asked: string[];
  let dialled: string[];
  let allowed: (scheme: string, host: string, port: number) => boolean;

  const socketOf = (ip: string): string => join(directory, `${ip}.sock`);
  const pod = (): string => join(directory, "egress");

  const dialer: RemoteDialer = {
    dialTunnel(address, target, data, socket) {
      dialled.push(`${address} ${target.ip}:${target.port}`);
      const unix = socketOf(target.ip);
      Bun.connect({ unix, allowHalfOpen: true, data, socket }).catch(() => undefined);
    },
  };

  function start(clock: Clock = wallClock, options: Partial<EgressServerOptions> = {}): void {
    states = new EndpointStates(clock);
    builder = new RoutingBuilder();
    egress = new EgressServer({
      zone: new ClusterZone({ domain: CLUSTER_DOMAIN, view: builder }),
      clock,
      logger: silentLogger,
      states,
      dial: createEndpointDial({
        endpointSocket: (ip) => (ip.startsWith("10.0.1.") ? socketOf(ip) : undefined),
        remote: { nodeName: "here", dialer, peerAddressOf: (node) => `peer-${node}` },
      }),
      service: (namespace, name) => builder.service(namespace, name),
      nodeOfPod: (ip) => (ip.startsWith("10.0.2.") ? "there" : undefined),
      resolve: async (name) => {
        asked.push(name);
        const address = OUTSIDE[name];
        if (address === undefined) throw new Error("ENOTFOUND");
        return [address];
      },
      ...options,
    });
    egress.open(pod(), {
      namespace: "shop",
      allows: (scheme, host, port) => allowed(scheme, host, port),
    });
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-egress-"));
    servers = [];
    clients = [];
    asked = [];
    dialled = [];
    allowed = () => true;
    start();
    apply();
  });

  afterEach(() => {
    for (const client of clients) client.close();
    egress.close();
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true });
  });

  function serve(key: string, spec: Service["spec"], ...ips: string[]): void {
    builder.setService(service(key, spec ?? {}));
    const ready = Object.fromEntries(ips.map((ip) => [ip, "ready" as const]));
    if (ips.length > 0) builder.setEndpointSlice(slice(key, { port: 8080 }, ready));
    apply();
  }

  function apply(): void {
    const table = builder.build();
    egress.update(table, states.retain(table));
  }

  function backend(ip: string, script: ServerScript = answering(ok(`from ${ip}`))): RawServer {
    const made = new RawServer(socketOf(ip), script);
    servers.push(made);
    return made;
  }

  async function connect(options?: { keepText: boolean }): Promise<RawClient> {
    const client = await RawClient.connect({ unix: pod() }, options);
    clients.push(client);
    return client;
  }

  /** `STATUS body`, or `STATUS error-code`. */
  async function get(host: string, fields = ""): Promise<string> {
    const client = await connect();
    client.write(`GET /x HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`);
    await client.isClosed();
    const [head = "", body = ""] = client.text.split("\r\n\r\n");
    const status = head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length);
    const code = /^x-kubun-egress-error: (.*)$/m.exec(head)?.[1]?.trim();
    return `${status} ${code ?? body.trim()}`;
  }

  test("EgressServer: finds a Service by each form of its name", async () => {
    backend("10.0.1.1");
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    for (const host of [
      "web",
      "WEB:80",
      "web.",
      "web.shop",
      "web.shop.svc",
      "web.shop.svc.cluster.local",
      "web.shop.svc.cluster.local.:80",
      "127.43.0.5",
      "10.0.1.1:8080",
    ]) {
      expect(`${host} ${await get(host)}`).toBe(`${host} 200 from 10.0.1.1`);
    }
    expect(asked).toEqual([]);
  });

  test("EgressServer: short names are of the pod's namespace", async () => {
    backend("10.0.1.1");
    serve("other/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    expect(await get("web")).toBe("502 dns-error");
    expect(await get("web.other")).toBe("200 from 10.0.1.1");
  });

  test("EgressServer: names and ports that are not there are told apart", async () => {
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] });
    expect(await get("web:81")).toBe("502 connection-refused");
    expect(await get("127.43.0.5:81")).toBe("502 connection-refused");
    expect(await get("web")).toBe("503 destination-unavailable");
    expect(await get("nothing.shop.svc")).toBe("502 dns-error");
    expect(asked).toEqual([]);
    expect(await get("nothing")).toBe("502 dns-error");
    expect(asked).toEqual(["nothing"]);
  });

  test("EgressServer: a headless Service is asked at the pods' port or its own", async () => {
    backend("10.0.1.1");
    serve("shop/db", { clusterIP: "None", ports: [{ port: 5432 }] }, "10.0.1.1");
    expect(await get("db:8080")).toBe("200 from 10.0.1.1");
    expect(await get("db:5432")).toBe("200 from 10.0.1.1");
    expect(await get("db:1")).toBe("502 connection-refused");
  });

  test("EgressServer: requests are spread over endpoints, also on other nodes", async () => {
    backend("10.0.1.1");
    backend("10.0.2.1");
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] });
    const both = slice("shop/web", { port: 8080 }, { "10.0.1.1": "ready", "10.0.2.1": "ready" });
    const far = both.endpoints?.[1];
    if (far !== undefined) far.nodeName = "there";
    builder.setEndpointSlice(both);
    apply();
    const answers = [await get("web"), await get("web"), await get("web"), await get("web")];
    expect(new Set(answers)).toEqual(new Set(["200 from 10.0.1.1", "200 from 10.0.2.1"]));
    expect(dialled[0]).toBe("peer-there 10.0.2.1:8080");
    // A pod that belongs to no Service is found by its node's range.
    expect(await get("10.0.2.1:9")).toBe("200 from 10.0.2.1");
    expect(dialled.at(-1)).toBe("peer-there 10.0.2.1:9");
  });

  test("EgressServer: an ExternalName Service leads to the name outside", async () => {
    serve("shop/api", { type: "ExternalName", externalName: "example.com" });
    expect(await get("api")).toBe("403 destination-ip-prohibited");
    expect(asked).toEqual(["example.com"]);
    // The pod was granted the Service's name, and not this machine.
    serve("shop/self", { type: "ExternalName", externalName: "localhost" });
    serve("shop/number", { type: "ExternalName", externalName: "127.0.0.1" });
    expect(await get("self")).toBe("403 destination-ip-prohibited");
    expect(await get("number")).toBe("403 destination-ip-prohibited");
  });

  test("EgressServer: what the policy refuses is never looked at", async () => {
    backend("10.0.1.1");
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    const seen: string[] = [];
    allowed = (scheme, host, port) => {
      seen.push(`${scheme}://${host}:${port}`);
      return false;
    };
    expect(await get("web")).toBe("403 http-request-denied");
    expect(await get("Example.com.:8443", "X-Kubun-Scheme: https\r\n")).toBe(
      "403 http-request-denied",
    );
    expect(seen).toEqual(["http://web:80", "https://example.com:8443"]);
    expect(asked).toEqual([]);
  });

  test("EgressServer: reads and keeps to itself what the worker tells it", async () => {
    let seen = "";
    backend("10.0.1.1", {
      onData(connection, all) {
        seen = all;
        connection.send(ok("x", "X-Kubun-Egress-Error: forged\r\nX-Forwarded-For: kept\r\n"));
      },
    });
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    const client = await connect();
    client.write(
      "GET /p?q HTTP/1.1\r\nHost: web\r\nX-Kubun-Scheme: http\r\nX-Forwarded-For: 1.2.3.4\r\n" +
        "X-Kubun-Connect-Timeout-Ms: 700\r\nTraceparent: t\r\n\r\n",
    );
    await client.sees("\r\n\r\nx");
    expect(seen).toBe(
      "GET /p?q HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 1.2.3.4\r\nTraceparent: t\r\n\r\n",
    );
    expect(client.text).not.toContain("forged");
    expect(client.text).toContain("X-Forwarded-For: kept");
    expect(await get("web", "X-Kubun-Scheme: gopher\r\n")).toBe("400 http-protocol-error");
    expect(await get("web:99999")).toBe("400 http-protocol-error");
    expect(await get("web", "X-Kubun-Connect-Timeout-Ms: soon\r\n")).toBe(
      "400 http-protocol-error",
    );
  });

  test("EgressServer: refusal, silence and nonsense of what is asked have names", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = listener;
    listener.stop(true);
    expect(await get(`127.0.0.1:${port}`)).toBe("502 connection-refused");
    backend("10.0.1.1", { onData: (connection) => connection.socket.end() });
    backend("10.0.1.2", answering("nonsense\r\n\r\n"));
    expect(await get("10.0.1.1:1")).toBe("502 connection-terminated");
    expect(await get("10.0.1.2:1")).toBe("502 http-protocol-error");
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.9");
    expect(await get("web")).toBe("502 connection-refused");
  });

  test("EgressServer: a connection that does not come up in time is given up", async () => {
    // Nothing answers at an address of the documentation's range, or the network says so.
    expect(await get("192.0.2.1", "X-Kubun-Connect-Timeout-Ms: 30\r\n")).toBeOneOf([
      "502 connection-timeout",
      "502 destination-unavailable",
      "502 connection-refused",
    ]);
    const silent = Bun.listen({ unix: socketOf("10.0.1.1"), socket: { data() {} } });
    egress.close();
    start(wallClock, { timeouts: { responseMs: 10 } });
    apply();
    expect(await get("10.0.1.1:1")).toBe("504 http-response-timeout");
    silent.stop(true);
  });

  test("EgressServer: a resolver that says nothing is asked once, and given up", async () => {
    egress.close();
    const clock = new ManualClock();
    start(clock, { resolve: (name) => (asked.push(name), new Promise(() => undefined)) });
    apply();
    const answers = Promise.all([get("slow.example"), get("slow.example")]);
    await eventually(() => asked.length > 0 && egress.connections.clients === 2);
    clock.advance(LOOKUP_DEADLINE_MS);
    expect(await answers).toEqual(["504 dns-timeout", "504 dns-timeout"]);
    expect(asked).toEqual(["slow.example"]);
  });

  test("EgressServer: a name outside does not lead to this machine, its number does", async () => {
    const listener = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("me") });
    expect(await get(`example.com:${listener.port}`)).toBe("403 destination-ip-prohibited");
    expect(await get(`127.0.0.1:${listener.port}`)).toBe("200 me");
    expect(await get(`localhost:${listener.port}`)).toBe("200 me");
    await listener.stop(true);
  });

  test.skipIf(Bun.which("openssl") === null)(
    "EgressServer: TLS is made here, and a certificate nobody vouches for refused",
    async () => {
      const { cert, key } = await selfSigned(directory);
      const tls = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        tls: { cert, key },
        fetch: () => new Response("x"),
      });
      const fields = "X-Kubun-Scheme: https\r\n";
      expect(await get(`localhost:${tls.port}`, fields)).toBe("502 tls-certificate-error");
      await tls.stop(true);
      const plain = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("x") });
      expect(await get(`localhost:${plain.port}`, fields)).toBe("502 tls-protocol-error");
      await plain.stop(true);
    },
  );

  test("EgressServer: answers the addresses of a name", async () => {
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    serve("shop/db", { clusterIP: "None", ports: [{ port: 1 }] }, "10.0.1.1", "10.0.1.2");
    const ask = (name: string) => get("resolver", `X-Kubun-Resolve: ${name}\r\n`);
    expect(await ask("web")).toBe('200 {"addresses":["127.43.0.5"]}');
    expect(await ask("db.shop.svc")).toBe('200 {"addresses":["10.0.1.1","10.0.1.2"]}');
    expect(await ask("API.example.com")).toBe('200 {"addresses":["192.0.2.1"]}');
    expect(await ask("10.1.2.3")).toBe('200 {"addresses":["10.1.2.3"]}');
    // Nobody looks again at what is dialled: a name outside does not lead to this machine here too.
    expect(await ask("example.com")).toBe("403 destination-ip-prohibited");
    expect(await ask("localhost")).toBe('200 {"addresses":["127.0.0.1"]}');
    expect(await ask("nothing.example")).toBe("502 dns-error");
    expect(await ask("no.shop.svc.cluster.local")).toBe("502 dns-error");
    serve("shop/out", { type: "ExternalName", externalName: "api.example.com" });
    serve("shop/in", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" });
    expect(await ask("out")).toBe('200 {"addresses":["192.0.2.1"]}');
    expect(await ask("in")).toBe('200 {"addresses":["127.43.0.5"]}');
    expect(await ask("10-0-1-2.db")).toBe('200 {"addresses":["10.0.1.2"]}');
    expect(await ask("10-0-1-9.db")).toBe("502 dns-error");
  });

  test("EgressServer: finds endpoints by name, and Services behind an ExternalName", async () => {
    for (const ip of ["10.0.1.1", "10.0.1.2"]) backend(ip);
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    serve("shop/db", { clusterIP: "None", ports: [{ port: 80 }] }, "10.0.1.1", "10.0.1.2");
    serve("shop/in", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" });
    serve("shop/loop", { type: "ExternalName", externalName: "loop.shop.svc.cluster.local" });
    expect(await get("10-0-1-2.db:8080")).toBe("200 from 10.0.1.2");
    expect(await get("10-0-1-2.db.shop.svc.cluster.local:8080")).toBe("200 from 10.0.1.2");
    expect(await get("in")).toBe("200 from 10.0.1.1");
    expect(await get("loop")).toBe("502 dns-error");
  });

  test("EgressServer: requests before the first table wait for it", async () => {
    egress.close();
    start();
    backend("10.0.1.1");
    const early = get("web");
    await eventually(() => egress.connections.clients === 1);
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    expect(await early).toBe("200 from 10.0.1.1");
  });

  test("EgressServer: bodies stream both ways, whatever their size", async () => {
    const total = 24 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 120);
    const server = Bun.serve({
      unix: socketOf("10.0.1.1"),
      async fetch(request) {
        let received = 0;
        for await (const part of request.body ?? []) received += part.length;
        let sent = 0;
        return new Response(
          new ReadableStream({
            pull(controller) {
              if (sent >= received) return controller.close();
              sent += chunk.length;
              controller.enqueue(chunk);
            },
          }),
        );
      },
    });
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    let made = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (made >= total) return controller.close();
        made += chunk.length;
        controller.enqueue(chunk);
      },
    });
    const response = await fetch("http://web/upload", {
      unix: pod(),
      method: "POST",
      body,
    } as RequestInit);
    let read = 0;
    for await (const part of response.body ?? []) read += part.length;
    expect(read).toBe(total);
    await server.stop(true);
  });

  test("EgressServer: 64 calls at once go on one connection each and reuse them", async () => {
    const web = backend("10.0.1.1");
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    const callers = await Promise.all(Array.from({ length: 64 }, () => connect()));
    for (let round = 1; round <= 3; round++) {
      for (const each of callers) each.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
      await eventually(() =>
        callers.every(({ text }) => text.split("from 10.0.1.1").length === round + 1),
      );
    }
    expect(web.connections.length).toBeLessThanOrEqual(64);
    expect(egress.connections.clients).toBe(64);
  });

  test("EgressServer: a caller that leaves ends what it asked", async () => {
    const web = backend("10.0.1.1", {});
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    const client = await connect();
    client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    await eventually(() => web.connections[0]?.text.includes("GET /") === true);
    client.close();
    await eventually(() => web.open === 0);
    expect(egress.connections).toEqual({ clients: 0, upstreams: 0 });
  });

  test("EgressServer: half an answer is a cut connection, never a whole answer", async () => {
    backend("10.0.1.1", {
      onData(connection) {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        connection.socket.end();
      },
    });
    serve("shop/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }, "10.0.1.1");
    const client = await connect();
    client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    await eventually(() => client.closed);
    expect(client.text).not.toContain("egress-error");
  });

  test("EgressServer: one pod's connections are limited, and end with its socket", async () => {
    egress.close();
    start(wallClock, { maxConnectionsPerPod: 2 });
    apply();
    const one = await connect();
    await connect();
    await eventually(() => egress.connections.clients === 2);
    expect(await get("web")).toBe("503 connection-limit-reached");
    one.close();
    await eventually(() => egress.connections.clients === 1);
    const path = join(directory, "another");
    const opened = egress.open(path, { namespace: "shop", allows: () => true });
    const other = await RawClient.connect({ unix: path });
    clients.push(other);
    await eventually(() => egress.connections.clients === 2);
    opened.close();
    opened.close();
    await eventually(() => other.closed);
    expect(existsSync(path)).toBe(false);
    expect(egress.connections.clients).toBe(1);
  });
});

async function selfSigned(directory: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"];
  const curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"];
  const made = Bun.spawn([...command, ...curve, "-keyout", key, "-out", cert], {
    stderr: "ignore",
  });
  await made.exited;
  return { cert: await Bun.file(cert).text(), key: await Bun.file(key).text() };
}
