import { beforeAll, describe, expect, test } from "bun:test";
import { type ApiFixture, apiFixture, USER_TOKEN } from "../testing/api-fixture.ts";

const DEFAULT = "/api/v1/namespaces/default";

/** What a proxied request looks like where it arrives. */
interface Seen {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

describe("proxyRequest", () => {
  const given: { api?: ApiFixture; seen: Seen[] } = { seen: [] };
  const api = (): ApiFixture => {
    if (given.api === undefined) throw new Error("not begun");
    return given.api;
  };
  const last = (): Seen | undefined => given.seen.at(-1);

  async function arrived(request: Request): Promise<Response> {
    const headers = Object.fromEntries(request.headers);
    const { url, method } = request;
    given.seen.push({ url, method, headers, body: await request.text() });
    return new Response("teapot", { status: 418, headers: { "x-from": "there" } });
  }

  beforeAll(async () => {
    const made = await apiFixture({
      node: arrived,
      proxyTransport: (request, { host }) => {
        if (host.startsWith("gone")) throw new Error("connection refused");
        return arrived(request);
      },
    });
    given.api = made;
    const service = (name: string, ports: unknown): Promise<unknown> =>
      made.send("POST", `${DEFAULT}/services`, { metadata: { name }, spec: { ports } });
    await service("web", [{ port: 80 }]);
    await service("gone", [{ port: 80 }]);
    await service("many", [
      { name: "http", port: 80 },
      { name: "admin", port: 8081 },
    ]);
    await made.send("POST", "/api/v1/nodes", { metadata: { name: "node-1" } });
    const containers = [{ name: "c", image: "i:1", ports: [{ containerPort: 8080 }] }];
    for (const name of ["pod", "early"]) {
      await made.send("POST", `${DEFAULT}/pods`, { metadata: { name }, spec: { containers } });
    }
    const patch = { status: { podIP: "127.42.0.7", podIPs: [{ ip: "127.42.0.7" }] } };
    const type = { "content-type": "application/merge-patch+json" };
    const changed = await made.send("PATCH", `${DEFAULT}/pods/pod/status`, patch, type);
    expect(changed.status).toBe(200);
  });

  test("proxyRequest passes on method, path, query, body and answer as they are", async () => {
    const headers = {
      accept: "text/html",
      "x-own": "yes",
      "x-kubun-resolve": "secrets",
      "content-type": "text/plain",
    };
    const path = `${DEFAULT}/services/web/proxy/a/b?x=1&y=%2F`;
    const answer = await api().send("PUT", path, "content", headers);
    expect([answer.status, answer.text, answer.headers.get("x-from")]).toEqual([
      418,
      "teapot",
      "there",
    ]);
    expect(last()).toMatchObject({
      url: "http://web.default.svc/a/b?x=1&y=%2F",
      method: "PUT",
      body: "content",
    });
    expect(last()?.headers).toMatchObject({
      accept: "text/html",
      "x-own": "yes",
      "x-forwarded-proto": "https",
      "x-forwarded-uri": `${DEFAULT}/services/web/proxy/a/b`,
    });
    expect(Object.keys(last()?.headers ?? {})).not.toContain("authorization");
    expect(Object.keys(last()?.headers ?? {})).not.toContain("x-kubun-resolve");
  });

  test.each([
    ["services/web:80/proxy", "http://web.default.svc/"],
    ["services/https:web:/proxy/x/", "https://web.default.svc:80/x/"],
    ["services/many:admin/proxy/", "http://many.default.svc:8081/"],
    ["services/many:8081/proxy/", "http://many.default.svc:8081/"],
    ["pods/pod/proxy/", "http://127.42.0.7:8080/"],
    ["pods/pod:9090/proxy/x", "http://127.42.0.7:9090/x"],
    ["pods/https:pod:8443/proxy/x", "https://127.42.0.7:8443/x"],
  ])("proxyRequest leads %s to %s", async (path, url) => {
    expect((await api().send("GET", `${DEFAULT}/${path}`)).status).toBe(418);
    expect(last()?.url).toBe(url);
  });

  test("proxyRequest asks a node's agent", async () => {
    expect((await api().send("GET", "/api/v1/nodes/node-1:10250/proxy/pods?a=b")).status).toBe(418);
    expect(last()?.url).toBe("http://node-1/pods?a=b");
  });

  test.each([
    ["services/none/proxy/", 404, 'services "none" not found'],
    ["services/web:81/proxy/", 503, 'no service port 81 found for service "web"'],
    ["services/many/proxy/", 503, 'no endpoints available for service "many"'],
    ["services/gone/proxy/", 503, "error trying to reach service: connection refused"],
    ["services/a:b:c:d/proxy/", 400, 'invalid service request "a:b:c:d"'],
    ["services/ftp:web:80/proxy/", 400, 'invalid service request "ftp:web:80"'],
    ["pods/early/proxy/", 400, "address not allowed"],
    ["pods/pod:http/proxy/", 400, 'invalid port "http"'],
  ])("proxyRequest refuses %s with %d", async (path, status, message) => {
    const answer = await api().send("GET", `${DEFAULT}/${path}`);
    expect([answer.status, answer.json["message"]]).toEqual([status, message]);
  });

  test("proxyRequest is for who may use the subresource", async () => {
    const headers = { authorization: `Bearer ${USER_TOKEN}` };
    const path = `${DEFAULT}/services/web/proxy/`;
    const answer = await api().send("POST", path, "x", headers);
    expect(answer.json["message"]).toBe(
      'services "web" is forbidden: User "bob" cannot create resource "services/proxy" ' +
        'in API group "" in the namespace "default"',
    );
  });
});
