import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger, type Clock } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createEndpointDial, type EndpointDial } from "../net/endpoint-dialer.ts";
import { EndpointStates } from "../net/endpoint-states.ts";
import { RoutingBuilder } from "../routing/routing-builder.ts";
import {
  answering,
  ok,
  RawClient,
  RawServer,
  wallClock,
  type ServerScript,
} from "../testing/raw-socket.ts";
import { ingress, service, slice } from "../testing/routing-script.ts";
import { IngressServer } from "./ingress-server.ts";

describe("l7", () => {
  let directory: string;
  let server: IngressServer;
  let states: EndpointStates;
  let builder: RoutingBuilder;
  let port: number;
  let servers: RawServer[];
  let clients: RawClient[];

  function unixPath(ip: string): string {
    return join(directory, `${ip}.sock`);
  }

  function start(clock: Clock = wallClock, options: { maxConnections?: number } = {}): void {
    states = new EndpointStates(clock);
    const dial = createEndpointDial({ endpointSocket: (ip: string): string => unixPath(ip) });
    server = new IngressServer({ clock, logger: silentLogger, states, dial, ...options });
    port = server.listen({ hostname: "127.0.0.1", port: 0 });
    builder = new RoutingBuilder();
    builder.setService(service("d/web", { clusterIP: "127.43.0.5", ports: [{ port: 80 }] }));
    builder.setIngress(ingress("d/main", ["Prefix /web web:80"], { className: "kubun" }));
  }

  function endpoints(...ips: string[]): void {
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

  async function client(options?: { keepText: boolean }): Promise<RawClient> {
    const made = await RawClient.connect({ port }, options);
    clients.push(made);
    return made;
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-proxy-"));
    servers = [];
    clients = [];
    start();
  });

  afterEach(() => {
    for (const each of clients) each.close();
    server.close();
    for (const each of servers) each.close();
    rmSync(directory, { recursive: true });
  });

  const GET = "GET /web HTTP/1.1\r\nHost: a.example\r\n\r\n";

  describe("IngressServer", () => {
    test("IngressServer passes a request on and tells the endpoint who asked", async () => {
      const web = backend("10.0.0.1", answering(ok("hello")));
      let seen = "";
      web.script = {
        onData(connection, all) {
          seen = all;
          connection.send(ok("hello"));
        },
      };
      endpoints("10.0.0.1");
      const one = await client();
      one.write(
        "GET /web?q=1 HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Keep: yes\r\n" +
          "Connection: keep-alive, X-Drop\r\nX-Drop: 1\r\nTE: trailers\r\n\r\n",
      );
      expect(await one.sees("hello")).toBe(ok("hello"));
      expect(seen.trimEnd().split("\r\n")).toEqual([
        "GET /web?q=1 HTTP/1.1",
        "Host: a.example",
        "X-Keep: yes",
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-Ip: 127.0.0.1",
        "X-Forwarded-Proto: http",
        `X-Forwarded-Port: ${port}`,
        "X-Forwarded-Host: a.example",
        "Connection: TE",
        "TE: trailers",
      ]);
    });

    test("IngressServer keeps connections, and answers pipelined requests in order", async () => {
      let count = 0;
      const web = backend("10.0.0.1", {
        onData(connection, all) {
          if (!all.endsWith("\r\n\r\n")) return;
          connection.text = "";
          connection.send(ok(`answer ${count++}`));
        },
      });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(GET + GET + GET);
      const text = await one.sees("answer 2");
      expect(text).toBe(ok("answer 0") + ok("answer 1") + ok("answer 2"));
      expect(web.connections.length).toBe(1);
      expect(server.connections).toEqual({ clients: 1, upstreams: 1 });
    });

    test("IngressServer answers 404 without a rule and 503 without an endpoint", async () => {
      endpoints();
      const one = await client();
      one.write("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
      await one.sees("HTTP/1.1 404 Not Found");
      one.write(GET);
      await one.sees("HTTP/1.1 503 Service Unavailable");
      expect(one.text).toContain("Service d/web has no ready endpoint");
      one.write("HEAD /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await one.isClosed();
      expect(one.text.endsWith("\r\n\r\n")).toBe(true);
    });

    test("IngressServer goes on with a body that waited, on a pooled connection", async () => {
      server.close();
      const slow: (() => void)[] = [];
      states = new EndpointStates(wallClock);
      const near = createEndpointDial({ endpointSocket: (ip: string): string => unixPath(ip) });
      const dial: EndpointDial = (endpoint, data, handler) => {
        if (endpoint.ip !== "10.0.0.1") return near(endpoint, data, handler);
        const fail = () => handler.connectError?.({ data } as Socket<typeof data>, new Error("no"));
        slow.push(() => void fail());
        return "far";
      };
      server = new IngressServer({ clock: wallClock, logger: silentLogger, states, dial });
      port = server.listen({ hostname: "127.0.0.1", port: 0 });
      const web = backend("10.0.0.2", answering(ok("first")));
      endpoints("10.0.0.2");
      const one = await client();
      one.write(GET);
      await one.sees("first");
      web.script = {
        onData(connection, all) {
          if (all.endsWith("0123456789")) connection.send(ok("second"));
        },
      };
      endpoints("10.0.0.1", "10.0.0.2");
      // The other one looks less busy, so that the one that will refuse is tried first.
      states.stateOf({ key: "10.0.0.2:8080", ip: "10.0.0.2", port: 8080 }).active = 1;
      one.write("POST /web HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
      await eventually(() => slow.length === 1);
      one.write("56789");
      const another = await client();
      another.write("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
      await another.sees("404");
      slow[0]?.();
      await one.sees("second");
    });

    test("IngressServer tries the next endpoint, and answers 502 when all refuse", async () => {
      backend("10.0.0.2", answering(ok("second")));
      endpoints("10.0.0.1", "10.0.0.2", "10.0.0.3");
      for (let round = 0; round < 6; round++) {
        const one = await client();
        one.write("POST /web HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        await one.sees("second");
      }
      endpoints("10.0.0.1", "10.0.0.3");
      const last = await client();
      last.write(GET);
      await last.sees("HTTP/1.1 502 Bad Gateway");
    });

    test("IngressServer cuts the client when half an answer is all there is", async () => {
      backend("10.0.0.1", {
        onData(connection) {
          connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
          connection.socket.end();
        },
      });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(GET);
      await eventually(() => one.closed);
      expect(one.text.endsWith("half")).toBe(true);
    });

    test("IngressServer relays chunked bodies, and one that ends with the connection", async () => {
      let seen = "";
      const web = backend("10.0.0.1", {
        onData(connection, all) {
          seen = all;
          if (!all.endsWith("0\r\n\r\n")) return;
          connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
          connection.send("0\r\nTrailer-Field: x\r\n\r\n");
        },
      });
      endpoints("10.0.0.1");
      const one = await client();
      one.write("POST /web HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n");
      await eventually(() => seen.endsWith("2\r\n"));
      one.write("hi\r\n0\r\n\r\n");
      await one.sees("0\r\nTrailer-Field: x\r\n\r\n");
      expect(seen.endsWith("\r\n\r\n2\r\nhi\r\n0\r\n\r\n")).toBe(true);
      web.script = {
        onData(connection) {
          connection.send("HTTP/1.0 200 Fine\r\n\r\nuntil the end");
          connection.socket.end();
        },
      };
      one.text = "";
      one.write(GET);
      await one.isClosed();
      expect(one.text).toBe("HTTP/1.1 200 Fine\r\nConnection: close\r\n\r\nuntil the end");
    });

    test("IngressServer unwraps chunks for a client of HTTP/1.0", async () => {
      const chunks = "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
      backend(
        "10.0.0.1",
        answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
      );
      endpoints("10.0.0.1");
      const one = await client();
      one.write("GET /web HTTP/1.0\r\n\r\n");
      await one.isClosed();
      expect(one.text).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefg");
    });

    test("IngressServer passes 100 Continue and other interim answers on", async () => {
      const web = backend("10.0.0.1", {
        onData(connection, all) {
          if (all.endsWith("\r\n\r\n")) {
            connection.send("HTTP/1.1 100 Continue\r\n\r\n");
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
          } else {
            connection.send(ok("done"));
          }
        },
      });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(
        "PUT /web HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
      );
      await one.sees("103 Early Hints\r\nLink: x\r\n\r\n");
      expect(one.text.startsWith("HTTP/1.1 100 Continue\r\n\r\n")).toBe(true);
      one.write("ab");
      await one.sees("done");
      expect(web.connections[0]?.text).toContain("Expect: 100-continue\r\n");
    });

    test("IngressServer joins both sides after an upgrade, and half-closes", async () => {
      backend("10.0.0.1", {
        onData(connection, all) {
          if (all.endsWith("\r\n\r\n")) {
            expect(all).toContain("Connection: Upgrade\r\nUpgrade: websocket\r\n");
            const fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
            connection.send(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\nfirst`);
          } else if (all.endsWith("ping")) {
            connection.send("pong");
          }
        },
        onEnd(connection) {
          connection.send("goodbye");
          connection.socket.shutdown();
        },
      });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(
        "GET /web HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      );
      await one.sees("first");
      one.write("ping");
      await one.sees("pong");
      endpoints();
      one.finish();
      await one.sees("goodbye");
      await eventually(() => one.closed || one.ended);
      await eventually(() => server.connections.clients === 0);
    });

    test.each([
      [
        "POST /web HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
      ],
      ["GET /web HTTP/1.1\nHost: a\n", 400],
      [`GET /web HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, 431],
      ["POST /web HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400],
    ])("IngressServer refuses %j and closes", async (text, status) => {
      const web = backend("10.0.0.1", answering(ok("never")));
      endpoints("10.0.0.1");
      const one = await client();
      one.write(text);
      await one.sees(`HTTP/1.1 ${status} `);
      await one.isClosed();
      expect(one.text).not.toContain("never");
      expect(web.connections.length).toBe(0);
    });

    test("IngressServer refuses connections beyond its limit", async () => {
      server.close();
      start(wallClock, { maxConnections: 1 });
      endpoints();
      await client();
      const two = await client();
      await two.sees("HTTP/1.1 503");
      await two.isClosed();
    });

    test("IngressServer holds a fast endpoint back for a slow client", async () => {
      const total = 24 * 1024 * 1024;
      const piece = Buffer.alloc(256 * 1024, "x");
      let sent = 0;
      const web = backend("10.0.0.1", {});
      const feed = (socket: { write(bytes: Uint8Array): number }): void => {
        while (sent < total) {
          const written = socket.write(piece.subarray(0, Math.min(piece.length, total - sent)));
          if (written <= 0) return;
          sent += written;
        }
      };
      web.script = {
        onData(connection) {
          connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
          feed(connection.socket);
        },
      };
      endpoints("10.0.0.1");
      const one = await client({ keepText: false });
      one.socket.pause();
      one.write(GET);
      let before = -1;
      await eventually(() => {
        feed(web.connections[0]?.socket ?? { write: () => 0 });
        const settled = sent > 0 && sent === before;
        before = sent;
        return settled;
      });
      expect(sent).toBeLessThan(total - 4 * 1024 * 1024);
      one.socket.resume();
      await eventually(() => {
        feed(web.connections[0]?.socket ?? { write: () => 0 });
        return one.receivedBytes > total;
      });
    });

    test("IngressServer holds a fast client back for a slow endpoint", async () => {
      const total = 32 * 1024 * 1024;
      const web = backend("10.0.0.1", { onOpen: (connection) => connection.socket.pause() });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(`POST /web HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
      one.write(Buffer.alloc(total, "y"));
      let before = -1;
      await eventually(() => {
        const settled = web.connections.length > 0 && one.pendingBytes === before;
        before = one.pendingBytes;
        return settled;
      });
      expect(one.pendingBytes).toBeGreaterThan(total / 4);
      web.script = {
        onData(connection) {
          if (connection.receivedBytes > total) connection.send(ok("all"));
        },
      };
      web.connections[0]?.socket.resume();
      await one.sees("all");
    });

    test("IngressServer aborts the endpoint's work when the client leaves", async () => {
      const web = backend("10.0.0.1", { onData: () => undefined });
      endpoints("10.0.0.1");
      const one = await client();
      one.write(GET);
      await eventually(() => web.open === 1);
      one.close();
      await eventually(() => web.open === 0);
      await eventually(() => server.connections.clients === 0);
    });

    test("IngressServer closes idle connections to what left, busy ones finish", async () => {
      const web = backend("10.0.0.1", {});
      const idle = await client();
      const busy = await client();
      web.script = {
        onData(connection, all) {
          if (all.includes("X-Slow")) return;
          connection.text = "";
          connection.send(ok("quick"));
        },
      };
      endpoints("10.0.0.1");
      busy.write("GET /web HTTP/1.1\r\nHost: a\r\nX-Slow: 1\r\n\r\n");
      await eventually(() => web.connections[0]?.text.includes("X-Slow"));
      idle.write(GET);
      await idle.sees("quick");
      endpoints();
      await eventually(() => web.open === 1);
      web.connections[0]?.send(ok("slow but whole"));
      await busy.sees("slow but whole");
      await eventually(() => web.open === 0);
    });

    test("IngressServer fails no request while endpoints are swapped under load", async () => {
      const names = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
      for (const name of names) backend(name, answering(ok(name)));
      endpoints(names[0] ?? "");
      const done = { count: 0, stop: false };
      const outcomes = new Map<string, number>();
      const load = Array.from({ length: 8 }, async (_, worker) => {
        while (!done.stop) {
          const method = worker % 2 === 0 ? "GET" : "POST";
          const answer = await fetch(`http://127.0.0.1:${port}/web`, {
            method,
            ...(method === "POST" ? { body: "x" } : {}),
          });
          const key = `${answer.status}`;
          await answer.text();
          outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
          done.count++;
        }
      });
      for (let swap = 0; swap < 60; swap++) {
        const from = done.count;
        await eventually(() => done.count > from + 5);
        endpoints(names[swap % 3] ?? "", ...(swap % 4 === 0 ? [names[(swap + 1) % 3] ?? ""] : []));
      }
      done.stop = true;
      await Promise.all(load);
      expect([...outcomes.keys()]).toEqual(["200"]);
    });

    test("IngressServer gives up on silent clients and endpoints", async () => {
      server.close();
      const clock = new ManualClock();
      start(clock);
      const web = backend("10.0.0.1", { onData: () => undefined });
      endpoints("10.0.0.1");
      const slow = await client();
      slow.write("GET /web HT");
      const waiting = await client();
      waiting.write(GET);
      const idle = await client();
      await eventually(() => web.open === 1 && server.connections.clients === 3);
      await eventually(() => {
        clock.advance(1_000);
        return slow.text !== "" && waiting.text !== "" && idle.closed;
      });
      expect(slow.text).toStartWith("HTTP/1.1 408 ");
      // Whatever it goes on to send is dropped, and not for long.
      await eventually(() => {
        slow.write("more");
        clock.advance(100);
        return slow.closed;
      });
      expect(waiting.text).toStartWith("HTTP/1.1 504 ");
      expect(waiting.text).toContain(
        "endpoint 10.0.0.1:8080 of Service d/web did not answer within 60 s",
      );
      await eventually(() => web.open === 0);
    });
  });
});
