import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ManualClock, type Fetch } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { CLUSTER, PeerGroup } from "../testing/peer-group.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { FRAME, frame } from "./frame.ts";
import { HTTP_SILENCE_MS } from "./http-client.ts";
import { ANY_PEER, NODES_GROUP, type NodeLink, type PeerHttpHandler } from "./node-link.ts";
import { DIAL_DEADLINE_MS } from "./peer-dialer.ts";
import { PROTOCOL_VERSION } from "./preface.ts";

const NODE = { organizations: [NODES_GROUP] };

describe("HTTP between peers", () => {
  let group: PeerGroup;
  let server: NodeLink;
  let client: NodeLink;
  let fetchPeer: Fetch;

  beforeEach(async () => {
    group = await PeerGroup.create();
    server = group.open({ keyPair: await group.keysOfNode("server") });
    client = group.open({ keyPair: await group.keysOfNode("client") });
    fetchPeer = client.fetchFrom(`127.0.0.1:${server.port}`, NODE);
  });

  afterEach(async () => {
    await group.close();
  });

  function serve(handler: PeerHttpHandler): void {
    server.serveHttp(handler);
  }

  function get(path = "/"): Request {
    return new Request(`http://anything${path}`);
  }

  test("fetchFrom carries method, path, query, headers and body; the peer is known", async () => {
    serve(async (request, peer) => {
      const url = new URL(request.url);
      const seen = {
        peer: peer.commonName,
        method: request.method,
        target: url.pathname + url.search,
        header: request.headers.get("x-asked"),
        body: await request.text(),
      };
      return Response.json(seen, { status: 201, headers: { "x-answered": "yes" } });
    });
    const response = await fetchPeer(
      new Request("http://x/a%2Fb/c?d=1&d=2", {
        method: "PATCH",
        headers: { "x-asked": "y" },
        body: "content",
      }),
    );
    expect(response.status).toBe(201);
    expect(response.headers.get("x-answered")).toBe("yes");
    expect(await response.json()).toEqual({
      peer: "system:node:client",
      method: "PATCH",
      target: "/a%2Fb/c?d=1&d=2",
      header: "y",
      body: "content",
    });
  });

  test("fetchFrom keeps apart requests at once, with and without bodies", async () => {
    serve(async (request) => {
      const body = await request.text();
      if (body === "") return new Response(null, { status: 204 });
      return new Response(body);
    });
    const texts = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const body = index % 3 === 0 ? "" : "x".repeat(index * 1_000);
        const request = new Request("http://x/", { method: "POST", body });
        return (await (await fetchPeer(request)).text()) === body;
      }),
    );
    expect(texts.every(Boolean)).toBe(true);
  });

  test("fetchFrom streams both ways at once", async () => {
    serve((request) => Promise.resolve(new Response(request.body)));
    const up = new TransformStream<Uint8Array, Uint8Array>();
    const writer = up.writable.getWriter();
    const response = await fetchPeer(
      new Request("http://x/", { method: "POST", body: up.readable }),
    );
    const reader = response.body?.getReader();
    for (const word of ["one", "two"]) {
      await writer.write(Buffer.from(word));
      const { value } = (await reader?.read()) ?? {};
      expect(Buffer.from(value ?? []).toString()).toBe(word);
    }
    await writer.close();
    expect((await reader?.read())?.done).toBe(true);
  });

  test("fetchFrom holds the sender of an endless body back", async () => {
    let produced = 0;
    const chunk = new Uint8Array(256 * 1024);
    serve(() => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          produced += chunk.length;
          controller.enqueue(chunk);
          return new Promise((resolve) => setImmediate(resolve));
        },
      });
      return Promise.resolve(new Response(body));
    });
    const response = await fetchPeer(get());
    let last = -1;
    await eventually(() => {
      const still = produced === last;
      last = produced;
      return still;
    });
    expect(produced).toBeLessThan(32 * 1024 * 1024);
    const reader = response.body?.getReader();
    let read = 0;
    while (read < 64 * 1024 * 1024) read += (await reader?.read())?.value?.length ?? 0;
    await reader?.cancel();
    const stopped = await eventually(() => {
      const still = produced === last && produced;
      last = produced;
      return still;
    });
    expect(stopped).toBeGreaterThan(32 * 1024 * 1024);
  });

  test("fetchFrom that is aborted tells the server, and rejects with the reason", async () => {
    let left: AbortSignal | undefined;
    serve((request) => {
      left = request.signal;
      return new Promise(() => undefined);
    });
    const abort = new AbortController();
    const fetching = fetchPeer(new Request("http://x/", { signal: abort.signal }));
    fetching.catch(() => undefined);
    await eventually(() => left !== undefined);
    abort.abort(new Error("not wanted"));
    expect(fetching).rejects.toThrow("not wanted");
    await eventually(() => left?.aborted);
    expect(fetchPeer(new Request("http://x/", { signal: abort.signal }))).rejects.toThrow(
      "not wanted",
    );
  });

  test("fetchFrom ends a response's body with its request's abort", async () => {
    let cancelled = false;
    serve(() => {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(Buffer.from("first")),
        cancel: () => {
          cancelled = true;
        },
      });
      return Promise.resolve(new Response(body));
    });
    const abort = new AbortController();
    const response = await fetchPeer(new Request("http://x/", { signal: abort.signal }));
    const reader = response.body?.getReader();
    await reader?.read();
    abort.abort(new Error("enough"));
    expect(reader?.read()).rejects.toThrow("enough");
    await eventually(() => cancelled);
  });

  test("fetchFrom tells whether a request may have arrived", async () => {
    serve(() => Promise.reject(new Error("a fault")));
    expect(fetchPeer(get())).rejects.toMatchObject({ code: "broken", delivered: true });
    await server.close();
    expect(fetchPeer(get())).rejects.toMatchObject({ code: "unreachable", delivered: false });
    const nowhere = client.fetchFrom("nonsense", ANY_PEER);
    expect(nowhere(get())).rejects.toMatchObject({ code: "unreachable" });
  });

  test("fetchFrom reads again over a new connection after the server restarted", async () => {
    serve(() => Promise.resolve(new Response("before")));
    expect(await (await fetchPeer(get())).text()).toBe("before");
    const { port } = server;
    await server.close();
    server = group.open({ keyPair: await group.keysOfNode("server") }, { port });
    serve(() => Promise.resolve(new Response("after")));
    expect(await (await fetchPeer(get())).text()).toBe("after");
  });

  test("fetchFrom gives up who does not answer the dial, and who goes silent", async () => {
    const clock = new ManualClock();
    const impatient = group.open({ keyPair: await group.keysOfNode("x") }, { clock });
    const mute = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const dialling = impatient.fetchFrom(`127.0.0.1:${mute.port}`, NODE)(get());
    dialling.catch(() => undefined);
    clock.advance(DIAL_DEADLINE_MS);
    expect(dialling).rejects.toMatchObject({ code: "unreachable", delivered: false });
    mute.stop(true);

    const silentClock = new ManualClock();
    const silent = group.open(
      { keyPair: await group.keysOfNode("silent") },
      { clock: silentClock },
    );
    let asked = false;
    silent.serveHttp(() => {
      asked = true;
      return new Promise(() => undefined);
    });
    const waiting = impatient.fetchFrom(`127.0.0.1:${silent.port}`, NODE)(get());
    waiting.catch(() => undefined);
    await eventually(() => asked);
    // The server's own clock stands still: it says nothing.
    clock.advance(2 * HTTP_SILENCE_MS);
    expect(waiting).rejects.toMatchObject({ code: "broken", delivered: true });
  });

  test("serveHttp cuts a peer that breaks the protocol", async () => {
    serve((request) => request.text().then((text) => new Response(text)));
    const { certificate: cert, privateKey: key } = await group.keysOfNode("raw");
    const head = { method: "POST", target: "/", headers: [], body: true };
    const starts = [
      [frame(FRAME.data, "unasked")],
      [frame(FRAME.head, "not JSON")],
      [frame(FRAME.head, JSON.stringify({ ...head, target: "no-slash" }))],
      [frame(FRAME.head, JSON.stringify(head)), frame(FRAME.head, JSON.stringify(head))],
    ];
    for (const frames of starts) {
      const raw = new RawPeer(server.port, { cert, key, ca: group.ca.certificate });
      const preface = { protocol: "http", version: PROTOCOL_VERSION, cluster: CLUSTER };
      await raw.say(`${JSON.stringify(preface)}\n`);
      await eventually(() => raw.text !== "");
      await raw.say(Buffer.concat(frames));
      await eventually(() => raw.closed);
    }
  });
});
