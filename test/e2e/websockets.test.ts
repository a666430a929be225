import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { pushImage } from "../../src/cli/index.ts";
import { INGRESSES, PODS, SERVICES } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const testdata = join(import.meta.dir, "..", "..", "src/runtime/wasi/component/testdata");
const TEST_TIMEOUT_MS = 60_000;
const DEADLINE_MS = 30_000;

describe("a cluster with a component that speaks more than requests and answers", () => {
  let server: SpawnedServer;
  /** Host and port of the Service and of the Ingress. */
  let ways: readonly URL[];

  beforeAll(async () => {
    server = await spawnServer();
    const connection = { ...server, version: "", startedAt: "", server: server.url };
    const module = new Uint8Array(readFileSync(join(testdata, "front.wasm")));
    await pushImage(connection, { reference: "front:v1", module });
    const { client } = server;
    await client.resource(PODS, "default").create({
      metadata: { name: "front", labels: { app: "front" } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "main", image: "front:v1", ports: [{ containerPort: 8080 }] }],
      },
    });
    const made = await client.resource(SERVICES, "default").create({
      metadata: { name: "front" },
      spec: { selector: { app: "front" }, ports: [{ port: 8080 }] },
    });
    const service = { name: "front", port: { number: 8080 } };
    const paths = [{ path: "/", pathType: "Prefix", backend: { service } }];
    const rules = [{ http: { paths } }];
    await client
      .resource(INGRESSES, "default")
      .create({ metadata: { name: "front" }, spec: { rules } });
    ways = [new URL(`http://${made.spec?.clusterIP}:8080`), new URL(server.ingress)];
    for (const way of ways) {
      await eventually(async () => (await fetch(way)).status === 200, {
        deadlineMs: DEADLINE_MS,
        what: `${way.href} answers`,
      });
    }
  }, TEST_TIMEOUT_MS);

  afterAll(() => server[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

  test(
    "a cluster with WebSockets passes their messages through Service and Ingress",
    async () => {
      for (const { host } of ways) {
        const socket = new WebSocket(`ws://${host}/ws`);
        const got: string[] = [];
        socket.addEventListener("message", ({ data }: MessageEvent<string>) => got.push(data));
        await new Promise((resolve) => socket.addEventListener("open", resolve));
        const large = "x".repeat(1024 * 1024);
        socket.send("hello");
        socket.send(large);
        await eventually(() => got.length === 2);
        expect(got[0]).toBe("hello");
        expect(got[1] === large).toBe(true);
        const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
        socket.close(1000);
        expect(await closed).toMatchObject({ code: 1000, wasClean: true });
      }
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with WebSockets passes trailers both ways, and events one by one",
    async () => {
      for (const { hostname, port } of ways) {
        const socket = connect(Number(port), hostname);
        let text = "";
        socket.on("data", (chunk) => {
          text += chunk.toString("latin1");
        });
        const head = `Host: front\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n`;
        socket.write(`POST /t HTTP/1.1\r\n${head}\r\n2\r\nhi\r\n0\r\nX-Sum: 209\r\n\r\n`);
        await eventually(() => text.endsWith("2\r\nhi\r\n0\r\nX-Sum: 209\r\n\r\n"));
        text = "";
        socket.write(`GET /e3 HTTP/1.1\r\nHost: front\r\n\r\n`);
        for (const event of [0, 1, 2]) {
          await eventually(() => text.includes(`data: ${event}\n\n`));
          expect(text).not.toContain(`data: ${event + 1}`);
        }
        await eventually(() => text.endsWith("0\r\n\r\n"));
        socket.destroy();
      }
    },
    TEST_TIMEOUT_MS,
  );
});
