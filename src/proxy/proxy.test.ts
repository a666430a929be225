import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ingress } from "../api/index.ts";
import {
  createClient,
  ENDPOINT_SLICES,
  EVENTS,
  INGRESS_CLASSES,
  INGRESSES,
  SERVICES,
  type Client,
} from "../client/index.ts";
import { FakeApi } from "../client/testing/fake-api.ts";
import { silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { createProxy, type Proxy } from "./proxy.ts";
import { answering, ok, RawServer, wallClock } from "./testing/raw-socket.ts";
import { ingress, ingressClass, service, slice } from "./testing/routing-script.ts";

describe("proxy", () => {
  let directory: string;
  let api: FakeApi;
  let client: Client;
  let stop: AbortController;
  let proxy: Proxy;
  let servers: RawServer[];

  const HELD = "127.43.77.1";

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-proxy-"));
    api = new FakeApi({ clock: wallClock });
    client = createClient({ fetch: api.fetch, userAgent: "test" });
    stop = new AbortController();
    servers = [];
    proxy = createProxy({
      client,
      clock: wallClock,
      logger: silentLogger,
      endpointSocket: (ip) => join(directory, `${ip}.sock`),
      nodePortAddress: "127.0.0.1",
      ingress: { hostname: "127.0.0.1", port: 0 },
    });
    const kubun = ingressClass("kubun", { controller: "kubun.dev/ingress", isDefault: true });
    api.seed(INGRESS_CLASSES, {
      ...kubun,
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
    });
  });

  afterEach(() => {
    stop.abort();
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true });
  });

  function backend(ip: string): void {
    servers.push(new RawServer(join(directory, `${ip}.sock`), answering(ok(`from ${ip}`))));
  }

  describe("createProxy", () => {
    test("createProxy serves Ingresses, follows changes and publishes its address", async () => {
      backend("10.0.0.1");
      backend("10.0.0.2");
      const web = service("d/web", { clusterIP: "None", ports: [{ port: 80 }] });
      api.seed(SERVICES, web);
      const endpoints = slice("d/web", { port: 8080 }, { "10.0.0.1": "ready" });
      api.seed(ENDPOINT_SLICES, endpoints);
      const { ingressPort } = await proxy.start(stop.signal);
      const get = async () => {
        const answer = await fetch(`http://127.0.0.1:${ingressPort}/web`);
        return `${answer.status} ${await answer.text()}`;
      };
      expect(await get()).toStartWith("404");
      const made = api.seed(INGRESSES, ingress("d/main", ["Prefix /web web:80"]));
      await eventually(async () => (await get()) === "200 from 10.0.0.1");
      const shown = await eventually(async () => {
        const found: Ingress = await client.resource(INGRESSES, "d").get("main");
        return found.status?.loadBalancer?.ingress;
      });
      expect(shown).toEqual([{ ip: "127.0.0.1" }]);
      const next = slice("d/web", { port: 8080 }, { "10.0.0.2": "ready" });
      api.change(ENDPOINT_SLICES, endpoints, (each) =>
        Object.assign(each, { endpoints: next.endpoints }),
      );
      await eventually(async () => (await get()) === "200 from 10.0.0.2");
      api.remove(INGRESSES, made);
      await eventually(async () => (await get()).startsWith("404"));
      expect(proxy.statistics().ingressClients).toBeGreaterThan(0);
    });

    test("createProxy listens for Services, and says what it could not bind", async () => {
      const holder = Bun.listen({ hostname: HELD, port: 0, socket: { data: () => undefined } });
      backend("10.0.0.1");
      const port = holder.port;
      api.seed(SERVICES, service("d/held", { clusterIP: HELD, ports: [{ port }] }));
      api.seed(ENDPOINT_SLICES, slice("d/held", { port: 8080 }, { "10.0.0.1": "ready" }));
      api.seed(SERVICES, service("d/web", { clusterIP: "127.43.77.2", ports: [{ port }] }));
      api.seed(ENDPOINT_SLICES, slice("d/web", { port: 8080 }, { "10.0.0.1": "ready" }));
      await proxy.start(stop.signal);
      const answer = await fetch(`http://127.43.77.2:${port}/`);
      expect(await answer.text()).toBe("from 10.0.0.1");
      const event = await eventually(async () => {
        const { items } = await client.resource(EVENTS, "d").list();
        return items.find((each) => each.involvedObject.name === "held");
      });
      expect(event).toMatchObject({ type: "Warning", reason: "AddressNotBound" });
      expect(event.message).toContain("another process has it");
      holder.stop(true);
    });

    test("createProxy is the load balancer of Services, where their port is free", async () => {
      const held = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => undefined },
      });
      const free = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => undefined },
      });
      const { port } = free;
      free.stop(true);
      backend("10.0.0.1");
      for (const [name, number] of [
        ["web", port],
        ["late", held.port],
      ] as const) {
        const spec = { type: "LoadBalancer", clusterIP: "None", ports: [{ port: number }] };
        api.seed(SERVICES, service(`d/${name}`, spec));
        api.seed(ENDPOINT_SLICES, slice(`d/${name}`, { port: 8080 }, { "10.0.0.1": "ready" }));
      }
      await proxy.start(stop.signal);
      const shown = async (name: string): Promise<unknown> => {
        const found = await client.resource(SERVICES, "d").get(name);
        return found.status?.loadBalancer?.ingress;
      };
      const want = [{ ip: "127.0.0.1", ipMode: "VIP" }];
      expect(await eventually(() => shown("web"))).toEqual(want);
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("from 10.0.0.1");
      const event = await eventually(async () => {
        const { items } = await client.resource(EVENTS, "d").list();
        return items.find((each) => each.involvedObject.name === "late");
      });
      expect(event.message).toBe(
        `LoadBalancer 127.0.0.1:${held.port} cannot be listened on: another process has it`,
      );
      expect(await shown("late")).toBeUndefined();
      held.stop(true);
    });

    test("createProxy lets requests under way finish when it is stopped", async () => {
      const slow = new RawServer(join(directory, "10.0.0.1.sock"), {});
      servers.push(slow);
      api.seed(SERVICES, service("d/web", { clusterIP: "None", ports: [{ port: 80 }] }));
      api.seed(ENDPOINT_SLICES, slice("d/web", { port: 8080 }, { "10.0.0.1": "ready" }));
      api.seed(INGRESSES, ingress("d/main", ["Prefix /web web:80"]));
      const { ingressPort } = await proxy.start(stop.signal);
      const answer = fetch(`http://127.0.0.1:${ingressPort}/web`);
      await eventually(() => slow.connections.length === 1);
      stop.abort();
      slow.connections[0]?.send(ok("at the last moment"));
      expect(await (await answer).text()).toBe("at the last moment");
      await proxy.drained();
      expect(proxy.statistics().ingressClients).toBe(0);
    });

    test("createProxy closes what it listens on when it is stopped", async () => {
      const { ingressPort } = await proxy.start(stop.signal);
      stop.abort();
      const answer = fetch(`http://127.0.0.1:${ingressPort}/`);
      const outcome = await answer.then(
        () => "answered",
        () => "refused",
      );
      expect(outcome).toBe("refused");
      expect(proxy.statistics().serviceListeners).toBe(0);
    });
  });
});
