import { describe, expect, test } from "bun:test";
import type { Fetch } from "../lib/index.ts";
import { createNodeRegistry, serveImage } from "./node-registry.ts";

const SECRET = "Bearer secret";

function sourceOf(images: Readonly<Record<string, string>>): Fetch & { asked: string[] } {
  const asked: string[] = [];
  const fetch: Fetch = async (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const found = images[pathname];
    return found === undefined ? new Response("", { status: 404 }) : new Response(found);
  };
  return Object.assign(fetch, { asked });
}

const get = (path: string, method = "GET", authorization = SECRET): Request =>
  new Request(`http://127.0.0.1${path}`, { method, headers: { authorization } });

describe("createNodeRegistry", () => {
  test("createNodeRegistry: a name without a registry is the one that was pushed", async () => {
    const empty = sourceOf({});
    const full = sourceOf({ "/v2/redis/manifests/v1": "manifest" });
    const path = "/hub/v2/library/redis/manifests/v1";
    const answer = await serveImage(get(path), SECRET, [empty, full]);
    expect(await answer.text()).toBe("manifest");
    expect(empty.asked).toEqual(["/v2/redis/manifests/v1"]);
    const absent = await serveImage(get("/hub/v2/library/nginx/manifests/v1"), SECRET, [full]);
    expect(absent.status).toBe(404);
    const other = sourceOf({ "/v2/team/app/manifests/v1": "other" });
    const named = await serveImage(get("/hub/v2/team/app/manifests/v1"), SECRET, [other]);
    expect(await named.text()).toBe("other");
  });

  test("createNodeRegistry: without the secret nothing is read, and nobody writes", async () => {
    const source = sourceOf({ "/v2/redis/manifests/v1": "manifest" });
    const path = "/v2/redis/manifests/v1";
    expect((await serveImage(get(path, "GET", "Bearer other"), SECRET, [source])).status).toBe(403);
    expect((await serveImage(get(path, "PUT"), SECRET, [source])).status).toBe(405);
    expect(source.asked).toEqual([]);
    expect((await serveImage(get(path), SECRET, [])).status).toBe(503);
  });

  test("createNodeRegistry: routes lead to a listener of this machine", async () => {
    const source = sourceOf({ "/v2/app/manifests/v1": "manifest" });
    const routes = createNodeRegistry({ sources: () => [source], hosts: () => ["10.0.0.1:6443"] });
    const [hub, own] = routes();
    expect(hub?.host).toBe("docker.io");
    expect(hub?.mirrorsOnly).toBeUndefined();
    expect(own).toMatchObject({ host: "10.0.0.1:6443", mirrorsOnly: true });
    const { url = "", authorization = "" } = own?.mirrors[0] ?? {};
    const answer = await fetch(`${url}/v2/app/manifests/v1`, { headers: { authorization } });
    expect(await answer.text()).toBe("manifest");
    expect(routes()[1]?.mirrors[0]?.url).toBe(url);
  });
});
