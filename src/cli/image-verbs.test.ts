import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "../client/index.ts";
import { createDistributionApp, openImageStore } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import { componentWith, moduleWith } from "../images/testing/wasm-fixtures.ts";
import { ManualClock, silentLogger } from "../lib/index.ts";
import type { Fetch } from "../lib/index.ts";
import { imageVerbs } from "./image-verbs.ts";
import type { ImageVerbs } from "./image-commands.ts";

const COMPONENT = componentWith({
  imports: ["wasi:http/types@0.2.0", "wasi:http/outgoing-handler@0.2.0", "acme:shop/cart"],
  exports: ["wasi:http/incoming-handler@0.2.0"],
});
const PLAIN = { annotations: {} };

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("did not fail");
}

describe("image verbs", () => {
  let root: string;
  let store: ImageStore;
  let outside: ImageStore;
  let verbs: ImageVerbs;
  let out: string;
  let warned: string;
  let hosts: Set<string>;

  /** A registry of somebody else's, which wants credentials. */
  function outsideFetch(): Fetch {
    const wanted = `Basic ${btoa("me:secret")}`;
    const app = createDistributionApp({
      images: outside,
      authorize: (request) =>
        request.headers.get("authorization") === wanted ? "allow" : "unauthenticated",
    });
    return async (request) => {
      hosts.add(new URL(request.url).host);
      return app.fetch(request);
    };
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-verbs-"));
    const open = (name: string): ImageStore =>
      openImageStore({
        directory: join(root, name),
        clock: new ManualClock(),
        logger: silentLogger,
      });
    [store, outside] = [open("cluster"), open("outside")];
    [out, warned, hosts] = ["", "", new Set()];
    const app = createDistributionApp({ images: store, authorize: () => "allow" });
    verbs = imageVerbs({
      connect: () => ({
        client: createClient({ fetch: async (request) => app.fetch(request), userAgent: "test" }),
        version: "0.0.0",
        pid: 1,
        startedAt: "2026-01-01T00:00:00Z",
        server: "https://127.0.0.1:1",
        ingress: "http://127.0.0.1:1",
        kubeconfig: "/nowhere",
      }),
      write: (text) => (out += text),
      warn: (text) => (warned += text),
      dockerConfig: join(root, "config.json"),
      fetch: outsideFetch(),
    });
    writeFileSync(join(root, "app.wasm"), COMPONENT);
    writeFileSync(join(root, "tool.wasm"), moduleWith({ imports: ["wasix_32v1.fd_dup"] }));
  });

  afterEach(async () => {
    await store.close();
    await outside.close();
    rmSync(root, { recursive: true });
  });

  const file = (name: string): string => join(root, name);
  const digests = (text: string): string[] => text.match(/sha256:[0-9a-f]{64}/g) ?? [];

  test("imagePush gives one digest for a file and for the layout built of it", async () => {
    const given = { annotations: { "org.example.team": "shop" }, target: "wasi:http/proxy@0.2.0" };
    for (const output of [file("app.oci"), file("app.tar")]) {
      await verbs.imageBuild(file("app.wasm"), { output, tag: "v1", ...given });
      await verbs.imagePush(output, "app:layout", { dataDir: root, ...PLAIN });
    }
    await verbs.imagePush(file("app.wasm"), "app:file", { dataDir: root, ...given });
    expect(digests(out).length).toBe(5);
    expect(new Set(digests(out)).size).toBe(1);
    expect(store.registry.repositories.tags("app")?.get("file")).toBe(digests(out)[0] ?? "");
    expect(
      await failure(verbs.imagePush(file("app.tar"), "app:x", { dataDir: root, ...given })),
    ).toContain("annotations are given when it is built");
  });

  test("imagePush stores at another registry with the credentials kept for it", async () => {
    const push = () =>
      verbs.imagePush(file("app.wasm"), "registry.example/team/app:v1", {
        dataDir: root,
        ...PLAIN,
      });
    expect(await failure(push())).toContain("registry registry.example needs credentials");
    const auths = { "registry.example": { username: "me", password: "secret" } };
    writeFileSync(file("config.json"), JSON.stringify({ auths }));
    await push();
    expect(out).toStartWith("pushed registry.example/team/app:v1 (sha256:");
    expect(outside.registry.repositories.tags("team/app")?.get("v1")).toBe(digests(out)[0] ?? "");
    expect([...hosts]).toEqual(["registry.example"]);

    out = "";
    const digest = outside.registry.repositories.resolve("team/app", "v1");
    const name = `registry.example/team/app@${digest}`;
    await verbs.imageInspect(name, { dataDir: root, output: "json" });
    expect(JSON.parse(out)).toMatchObject({ name, kind: "component" });
  });

  test("imageInspect says the same of a file, of a layout and of what was pushed", async () => {
    const tell = async (what: string): Promise<Record<string, unknown>> => {
      out = "";
      await verbs.imageInspect(what, { dataDir: root, output: "json" });
      return JSON.parse(out) as Record<string, unknown>;
    };
    const given = { annotations: { team: "shop" } };
    await verbs.imageBuild(file("app.wasm"), { output: file("app.oci"), ...given });
    await verbs.imagePush(file("app.wasm"), "app:v1", { dataDir: root, ...given });
    const facts = {
      kind: "component",
      imports: ["wasi:http/types@0.2.0", "wasi:http/outgoing-handler@0.2.0", "acme:shop/cart"],
      exports: ["wasi:http/incoming-handler@0.2.0"],
    };
    expect(await tell(file("app.wasm"))).toMatchObject(facts);
    const pushed = await tell("app:v1");
    expect(pushed).toMatchObject({ ...facts, annotations: { team: "shop" } });
    const built = await tell(file("app.oci"));
    expect({ ...built, name: "" }).toEqual({ ...pushed, name: "" });
    expect(pushed["warnings"]).toEqual([
      { verdict: "refused", names: ["acme:shop/cart"], why: "an interface nobody provides" },
      {
        verdict: "needs-grant",
        names: ["wasi:http/outgoing-handler@0.2.0"],
        why: "denied until the pod is granted it",
        annotation: "kubun.dev/allowed-outgoing-hosts",
        example: "http://my-service",
      },
    ]);
  });

  test("imageInspect prints facts, and warnings apart from them", async () => {
    await verbs.imageInspect(file("tool.wasm"), { dataDir: root, output: "text" });
    expect(out).toContain("Kind      core module (WASI preview 1)\n");
    expect(out).toContain("Imports   wasix_32v1.fd_dup\n");
    expect(warned).toBe(
      "warning: no pod will start with wasix_32v1.fd_dup: WASIX: build for plain WASI preview 1\n",
    );
  });

  test("imageInspect tells what is not there and what is no image", async () => {
    const inspect = (what: string) => verbs.imageInspect(what, { dataDir: root, output: "text" });
    writeFileSync(file("text"), "hello");
    expect(await failure(inspect(file("text")))).toContain("text is not WebAssembly");
    expect(await failure(inspect("./nothing"))).toContain("there is no file ./nothing");
    expect(await failure(inspect("nothing:v1"))).toContain("nothing:v1 is not at its registry");
    expect(await failure(inspect(root))).toContain("is neither a file nor an OCI image layout");
    expect(await failure(verbs.imageBuild(file("absent"), PLAIN))).toContain("there is no file");
  });
});
