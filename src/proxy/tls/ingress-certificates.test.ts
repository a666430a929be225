import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import type { Secret } from "../../api/index.ts";
import {
  createClient,
  ENDPOINT_SLICES,
  EVENTS,
  INGRESSES,
  SECRETS,
  SERVICES,
  type Client,
} from "../../client/index.ts";
import { FakeApi } from "../../client/testing/fake-api.ts";
import { silentLogger } from "../../lib/index.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import { createProxy, type ProxyPorts } from "../proxy.ts";
import { wallClock } from "../testing/raw-socket.ts";
import { ingress, service, slice } from "../testing/routing-script.ts";
import { A_EXAMPLE, B_EXAMPLE } from "../testing/test-certificates.ts";
import { collectTlsHosts, secretOfHost } from "./tls-hosts.ts";

/** Words of an answer that no socket takes at once. */
const LONG = 1_000_000;

function withTls(name: string, created: string, tls: { hosts?: string[]; secretName: string }[]) {
  const made = ingress(`d/${name}`, [`Prefix ${name}.example/ web:80`], {
    className: "kubun",
    created,
  });
  return { ...made, spec: { ...made.spec, tls } };
}

function secret(pair: typeof A_EXAMPLE): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: "d", name: "pair" },
    type: "kubernetes.io/tls",
    data: { "tls.crt": btoa(pair.certificate), "tls.key": btoa(pair.privateKey) },
  };
}

describe("collectTlsHosts", () => {
  test("collectTlsHosts gives a host to the older Ingress, and knows wildcards", () => {
    const hosts = collectTlsHosts([
      withTls("new", "2026-02-01T00:00:00Z", [{ hosts: ["A.example"], secretName: "late" }]),
      withTls("old", "2026-01-01T00:00:00Z", [
        { hosts: ["a.example", "*.wild.example"], secretName: "early" },
        { secretName: "ruled" },
      ]),
    ]);
    const nameOf = (host: string) => secretOfHost(hosts, host)?.name;
    expect(nameOf("a.example")).toBe("early");
    expect(nameOf("one.wild.example")).toBe("early");
    expect(nameOf("one.two.wild.example")).toBeUndefined();
    expect(nameOf("old.example")).toBe("ruled");
    expect(nameOf("other.example")).toBeUndefined();
    expect([...hosts.places.keys()].sort()).toEqual(["d/early", "d/late", "d/ruled"]);
  });
});

describe("IngressCertificates", () => {
  let directory: string;
  let api: FakeApi;
  let client: Client;
  let stop: AbortController;
  let ports: ProxyPorts;
  let web: { stop(force: boolean): unknown };
  let asked = new Headers();

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "kubun-proxy-"));
    api = new FakeApi({ clock: wallClock });
    client = createClient({ fetch: api.fetch, userAgent: "test" });
    stop = new AbortController();
    web = Bun.serve({
      unix: join(directory, "10.0.0.1.sock"),
      fetch(request) {
        asked = request.headers;
        return new Response("hello".repeat(LONG));
      },
    });
    api.seed(SERVICES, service("d/web", { clusterIP: "None", ports: [{ port: 80 }] }));
    api.seed(ENDPOINT_SLICES, slice("d/web", { port: 8080 }, { "10.0.0.1": "ready" }));
    const proxy = createProxy({
      client,
      clock: wallClock,
      logger: silentLogger,
      endpointSocket: (ip) => join(directory, `${ip}.sock`),
      nodePortAddress: "127.0.0.1",
      ingress: { hostname: "127.0.0.1", port: 0 },
      ingressTls: { port: 0, fallback: B_EXAMPLE },
    });
    ports = await proxy.start(stop.signal);
  });

  afterEach(() => {
    stop.abort();
    void web.stop(true);
    rmSync(directory, { recursive: true });
  });

  const port = () => ports.ingressTlsPort ?? 0;

  /** The name in the certificate that is shown for a host. */
  function shown(servername: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const options = { host: "127.0.0.1", port: port(), servername, rejectUnauthorized: false };
    const socket = connect(options, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.end();
    });
    socket.on("error", reject);
    return promise;
  }

  test("IngressCertificates show a Secret that comes later, and its change", async () => {
    const hosts = [{ hosts: ["a.example"], secretName: "pair" }];
    api.seed(INGRESSES, withTls("a", "2026-01-01T00:00:00Z", hosts));
    expect(await shown("a.example")).toBe("b.example");
    const made = api.seed(SECRETS, secret(A_EXAMPLE));
    await eventually(async () => (await shown("a.example")) === "a.example");
    expect(await shown("other.example")).toBe("b.example");
    const answer = await fetch(`https://127.0.0.1:${port()}/`, {
      headers: { host: "a.example" },
      tls: { ca: A_EXAMPLE.certificate, serverName: "a.example" },
    });
    expect((await answer.text()).length).toBe(5 * LONG);
    expect(asked.get("x-forwarded-proto")).toBe("https");
    expect(asked.get("x-forwarded-port")).toBe(String(port()));
    api.change(SECRETS, made, (each) => Object.assign(each, { data: secret(B_EXAMPLE).data }));
    await eventually(async () => (await shown("a.example")) === "b.example");
    api.change(SECRETS, made, (each) => Object.assign(each, { data: secret(A_EXAMPLE).data }));
    await eventually(async () => (await shown("a.example")) === "a.example");
    api.remove(SECRETS, made);
    await eventually(async () => (await shown("a.example")) === "b.example");
  });

  test("IngressCertificates tell of a Secret that cannot be shown", async () => {
    const hosts = [{ hosts: ["a.example"], secretName: "pair" }];
    api.seed(INGRESSES, withTls("a", "2026-01-01T00:00:00Z", hosts));
    api.seed(SECRETS, secret({ ...A_EXAMPLE, privateKey: B_EXAMPLE.privateKey }));
    const event = await eventually(async () => {
      const { items } = await client.resource(EVENTS, "d").list();
      return items.find(({ reason }) => reason === "BadCertificate");
    });
    expect(event.message).toContain("Secret d/pair holds no certificate that can be shown");
    expect(await shown("a.example")).toBe("b.example");
  });

  test("IngressCertificates: a client that speaks no TLS is cut", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: port(),
      socket: {
        open: (socket) => void socket.write("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        data: () => undefined,
        close: () => resolve("cut"),
      },
    });
    expect(await promise).toBe("cut");
  });
});
