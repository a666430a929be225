import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../lib/index.ts";
import { createEndpointDial } from "../net/endpoint-dialer.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import { RoutingBuilder } from "../routing/routing-builder.ts";
import { answering, ok, RawClient, RawServer, wallClock } from "../testing/raw-socket.ts";
import type { ServerScript } from "../testing/raw-socket.ts";
import { ingress, service, slice } from "../testing/routing-script.ts";
import { IngressServer } from "./ingress-server.ts";

const GET = "GET /web HTTP/1.1\r\nHost: a.example\r\n\r\n";

describe("repeating requests", () => {
  let directory: string;
  let server: IngressServer;
  let port: number;
  let servers: RawServer[];
  let clients: RawClient[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-proxy-"));
    [servers, clients] = [[], []];
  });

  afterEach(() => {
    for (const each of clients) each.close();
    server.close();
    for (const each of servers) each.close();
    rmSync(directory, { recursive: true });
  });

  const unixPath = (ip: string) => join(directory, `${ip}.sock`);

  function serve(...ips: string[]): void {
    const states = new EndpointStates(wallClock);
    const dial = createEndpointDial({ endpointSocket: unixPath });
    server = new IngressServer({ clock: wallClock, logger: silentLogger, states, dial });
    port = server.listen({ hostname: "127.0.0.1", port: 0 });
    const builder = new RoutingBuilder();
    builder.setService(service("d/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }));
    builder.setIngress(ingress("d/main", ["Prefix /web web:80"], { className: "kubun" }));
    const ready = Object.fromEntries(ips.map((ip) => [ip, "ready" as const]));
    builder.setEndpointSlice(slice("d/web", { port: 8080 }, ready));
    const table = builder.build();
    server.update(table, states.retain(table));
  }

  function backend(ip: string, script: ServerScript): RawServer {
    const made = new RawServer(unixPath(ip), script);
    servers.push(made);
    return made;
  }

  async function client(): Promise<RawClient> {
    const made = await RawClient.connect({ port });
    clients.push(made);
    return made;
  }

  test("IngressServer sends a request again when an idle connection turns out dead", async () => {
    const web = backend("10.0.0.1", answering(ok("first")));
    serve("10.0.0.1");
    const one = await client();
    one.write(GET);
    await one.sees("first");
    web.script = {
      onData(connection) {
        if (connection === web.connections[0]) connection.socket.terminate();
        else connection.send(ok("again"));
      },
    };
    one.write(GET);
    await one.sees("again");
    expect(web.connections.length).toBe(2);
  });

  test("IngressServer does not repeat what is not idempotent once it was sent", async () => {
    const web = backend("10.0.0.1", { onData: (connection) => connection.socket.terminate() });
    serve("10.0.0.1");
    const one = await client();
    one.write("POST /web HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    await one.sees("HTTP/1.1 502 Bad Gateway");
    expect(web.connections.length).toBe(1);
  });

  const KILLED: ServerScript = { onData: (connection) => connection.socket.terminate() };

  test("IngressServer gives a request that ends its endpoint to no other one", async () => {
    const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    const replicas = ips.map((ip) => backend(ip, KILLED));
    serve(...ips);
    const one = await client();
    one.write(GET);
    await one.sees("HTTP/1.1 502 Bad Gateway");
    await one.sees("of Service d/web closed the connection without an answer");
    expect(replicas.reduce((sum, { connections }) => sum + connections.length, 0)).toBe(1);
  });

  test("IngressServer repeats a request once, though every connection ends with it", async () => {
    const ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    const replicas = ips.map((ip) => backend(ip, answering(ok("fine"))));
    serve(...ips);
    const one = await client();
    // Each has a connection that is kept.
    for (let turn = 0; turn < 6; turn++) {
      one.write(GET);
      await one.sees("fine");
      one.text = "";
    }
    const kept = replicas.reduce((sum, { connections }) => sum + connections.length, 0);
    let ended = 0;
    for (const replica of replicas) {
      replica.script = {
        onData(connection) {
          ended++;
          connection.socket.terminate();
        },
      };
    }
    one.write(GET);
    await one.sees("HTTP/1.1 502 Bad Gateway");
    expect(ended).toBe(2);
    const made = replicas.reduce((sum, { connections }) => sum + connections.length, 0);
    expect(made).toBe(kept + 1);
  });
});
