import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SERVICES } from "../../src/client/index.ts";
import { spawnServer } from "../harness/spawned-server.ts";

const TEST_TIMEOUT_MS = 60_000;

describe("kubun server", () => {
  test(
    "kubun server takes names, ranges and ports as told",
    async () => {
      const flags = [
        ["--bind-address", "0.0.0.0"],
        ["--advertise-address", "127.0.0.1"],
        ["--tls-san", "kubun.example"],
        ["--cluster-cidr", "127.120.0.0/16"],
        ["--service-cidr", "127.121.0.0/16"],
        ["--service-node-port-range", "31000-31002"],
      ];
      await using server = await spawnServer({ args: flags.flat() });
      const services = server.client.resource(SERVICES, "default");
      expect((await services.get("kubernetes")).spec?.clusterIP).toBe("127.121.0.1");

      const named = await fetch(`${server.url.replace("127.0.0.1", "127.0.0.2")}/version`, {
        tls: { ca: server.ca, serverName: "kubun.example" },
      });
      expect(named.status).toBe(200);
      await named.arrayBuffer();

      const ports = [{ port: 8080 }, { port: 8081 }, { port: 8082 }].map((port, index) => ({
        ...port,
        name: `p${index}`,
      }));
      const service = { metadata: { name: "web" }, spec: { type: "NodePort", ports } };
      const created = await services.create(service);
      const nodePorts = created.spec?.ports?.map((port) => port.nodePort ?? 0).sort();
      expect(nodePorts).toEqual([31_000, 31_001, 31_002]);
      const another = { ...service, metadata: { name: "another" } };
      expect(services.create(another)).rejects.toThrow("range is full");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubun server answers anonymous requests on the health paths and /version only",
    async () => {
      await using server = await spawnServer();
      const ask = async (path: string, token?: string): Promise<number> => {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const response = await fetch(server.url + path, { tls: { ca: server.ca }, headers });
        await response.arrayBuffer();
        return response.status;
      };
      for (const path of ["/livez", "/readyz", "/healthz", "/version"]) {
        expect(await ask(path)).toBe(200);
      }
      for (const path of ["/api", "/apis", "/openapi/v2", "/api/v1/pods", "/metrics"]) {
        expect(await ask(path)).toBe(403);
      }
      // OCI clients show their credentials when they are asked for them.
      expect(await ask("/v2/")).toBe(401);
      expect(await ask("/api/v1/pods", "wrong")).toBe(401);
      expect(await ask("/api/v1/pods", server.token)).toBe(200);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubun server ends cleanly on SIGTERM and SIGINT and keeps its state",
    async () => {
      const first = await spawnServer();
      const { dataDir } = first;
      const services = first.client.resource(SERVICES, "default");
      const spec = { ports: [{ port: 8080 }] };
      const created = await services.create({ metadata: { name: "kept" }, spec });
      expect(await first.end("SIGTERM")).toBe(0);
      expect(first.output()).not.toContain("error");
      const second = await spawnServer({ dataDir });
      const kept = await second.client.resource(SERVICES, "default").get("kept");
      expect(kept.metadata.uid).toBe(created.metadata.uid ?? "");
      expect(kept.spec?.clusterIP).toBe(created.spec?.clusterIP ?? "");
      expect(second.token).toBe(first.token);
      expect(await second.end("SIGINT")).toBe(0);
      expect(await Bun.file(join(dataDir, "server.json")).exists()).toBe(false);
      await second[Symbol.asyncDispose]();
    },
    TEST_TIMEOUT_MS,
  );
});
