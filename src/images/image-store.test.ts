import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger, type Fetch } from "../lib/index.ts";
import { createDistributionApp } from "./distribution/distribution-app.ts";
import { ImageError } from "./image-error.ts";
import { MAX_CONCURRENT_PULLS, openImageStore, type ImageStore } from "./image-store.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { OCI_INDEX, OCI_MANIFEST, WASM_CONFIG, WASM_LAYER } from "./media-types.ts";
import {
  descriptorOf,
  EMPTY_COMPONENT,
  EMPTY_MODULE,
  json,
  layerOf,
  pushImage,
  pushManifest,
  wasiConfig,
  type Send,
} from "./testing/image-fixtures.ts";

describe("image store", () => {
  let root: string;
  let store: ImageStore;
  let remote: ImageStore;
  let clock: ManualClock;
  let requests: Request[];
  let respond: Fetch;

  const signal = new AbortController().signal;

  function open(name: string): ImageStore {
    return openImageStore({
      directory: join(root, name),
      logger: silentLogger,
      clock,
      isOwnHost: (host) => host === "registry.own:5000",
      fetch: async (request) => {
        requests.push(request);
        return respond(request);
      },
    });
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-images-"));
    clock = new ManualClock(Date.now());
    requests = [];
    store = open("here");
    remote = open("there");
    respond = async (request) => sendTo(remote)(request);
  });

  afterEach(async () => {
    await store.close();
    await remote.close();
    rmSync(root, { recursive: true });
  });

  function sendTo(images: ImageStore): Send {
    const app = createDistributionApp({ images, authorize: () => "allow" });
    return (request) => app.fetch(request);
  }

  async function failure(work: Promise<unknown>): Promise<ImageError> {
    try {
      await work;
    } catch (error) {
      if (error instanceof ImageError) return error;
      throw error;
    }
    throw new Error("did not fail");
  }

  /** Pulls retry with pauses: time passes for them here. */
  async function withTime<T>(work: Promise<T>): Promise<T> {
    const state = { settled: false };
    const done = work.finally(() => (state.settled = true));
    done.catch(() => undefined);
    while (!state.settled) await clock.advanceAsync(100);
    return done;
  }

  describe("openImageStore", () => {
    test("pushModule gives a name that get knows at once and after a restart", async () => {
      const pushed = await store.pushModule("hello:v1", EMPTY_MODULE);
      expect(pushed.kind).toBe("wasm");
      expect(readFileSync(pushed.modulePath ?? "")).toEqual(Buffer.from(EMPTY_MODULE));
      expect(store.get("hello:v1")).toEqual(pushed);
      expect(open("here").get("hello:v1")).toEqual(pushed);
      expect(store.get("registry.own:5000/hello:v1")?.digest).toBe(pushed.digest);
      expect(store.get(`hello@${pushed.digest}`)?.digest).toBe(pushed.digest);
      expect(store.get("hello:v2")).toBeUndefined();
      expect(requests).toEqual([]);
    });

    test("pushModule writes the artifact's configuration for modules and components", async () => {
      await store.pushModule("one", EMPTY_MODULE);
      await store.pushModule("two", EMPTY_COMPONENT);
      for (const [name, os] of [
        ["one", "wasip1"],
        ["two", "wasip2"],
      ]) {
        const send = sendTo(store);
        const manifest = (await (
          await send(new Request(`http://registry.test/v2/${name}/manifests/latest`))
        ).json()) as { config: { mediaType: string; digest: string } };
        expect(manifest.config.mediaType).toBe(WASM_CONFIG);
        const url = `http://registry.test/v2/${name}/blobs/${manifest.config.digest}`;
        expect(await (await send(new Request(url))).json()).toMatchObject({
          architecture: "wasm",
          os,
        });
      }
    });

    test("pushModule refuses what is not WebAssembly, and names of other registries", async () => {
      const text = new TextEncoder().encode("#!/bin/sh");
      expect((await failure(store.pushModule("hello", text))).code).toBe("unsupported");
      const elsewhere = await failure(store.pushModule("ghcr.io/a/b", EMPTY_MODULE));
      expect(elsewhere.code).toBe("invalid-reference");
    });

    test("pull fetches from the default registry what the cluster does not have", async () => {
      await remote.pushModule("library/hello", EMPTY_MODULE);
      const image = await store.pull("hello", { signal });
      expect(image.kind).toBe("wasm");
      expect(requests[0]?.url).toBe(
        "https://registry-1.docker.io/v2/library/hello/manifests/latest",
      );
      expect(store.get("docker.io/library/hello:latest")?.digest).toBe(image.digest);
      expect(open("here").get("hello")).toEqual(image);
      expect(await store.remove("hello")).toBe(true);
      expect(store.get("hello")).toBeUndefined();
      expect(await store.remove("hello")).toBe(false);
    });

    test("pull fetches one image once for many who ask at the same time", async () => {
      await remote.pushModule("library/hello", EMPTY_MODULE);
      const pulls = Array.from({ length: 5 }, () => store.pull("hello", { signal }));
      await Promise.all(pulls);
      expect(requests.filter((request) => request.url.includes("/blobs/")).length).toBe(2);
    });

    test("pull asks few silent registries at once, none for what is here", async () => {
      const silent = Promise.withResolvers<Response>();
      respond = () => silent.promise;
      const names = Array.from({ length: MAX_CONCURRENT_PULLS + 2 }, (_, index) => `far${index}`);
      const pulls = names.map((name) => failure(store.pull(name, { signal })));
      await eventually(() => requests.length === MAX_CONCURRENT_PULLS);
      const config = { mediaType: WASM_CONFIG, bytes: json({}) };
      const layer = { mediaType: WASM_LAYER, bytes: EMPTY_MODULE };
      await pushImage(sendTo(store), { repository: "near", reference: "v1" }, config, [layer]);
      expect((await store.pull("near:v1", { signal })).kind).toBe("wasm");
      expect(requests.length).toBe(MAX_CONCURRENT_PULLS);
      silent.resolve(new Response(null, { status: 404 }));
      respond = async () => new Response(null, { status: 404 });
      expect((await Promise.all(pulls)).map(({ code }) => code)).toEqual(
        names.map(() => "not-found"),
      );
      expect(requests.length).toBe(names.length);
    });

    test("pull says that neither registry has an image", async () => {
      const error = await failure(store.pull("nothing:v9", { signal }));
      expect(error.code).toBe("not-found");
      expect(error.message).toContain("image nothing:v9: it is not in the cluster's registry; ");
    });

    test("pull tries again when a registry fails, and gives up with the reason", async () => {
      respond = async () => new Response("", { status: 503 });
      const error = await failure(withTime(store.pull("ghcr.io/a/b", { signal })));
      expect([error.code, requests.length]).toEqual(["unreachable", 3]);
    });

    test("pull exchanges its credentials for a token and sends neither elsewhere", async () => {
      await remote.pushModule("a/b", EMPTY_MODULE);
      respond = async (request) => {
        const url = new URL(request.url);
        const authorization = request.headers.get("authorization");
        if (url.host === "auth.example") {
          expect(authorization).toBe(`Basic ${btoa("me:secret")}`);
          expect(url.searchParams.get("scope")).toBe("repository:a/b:pull");
          return Response.json({ token: "abc" });
        }
        if (url.host === "cdn.example") {
          expect(authorization).toBeNull();
          return sendTo(remote)(request);
        }
        if (authorization !== "Bearer abc") {
          const realm = 'Bearer realm="https://auth.example/token",service="r"';
          return new Response("", { status: 401, headers: { "WWW-Authenticate": realm } });
        }
        if (!url.pathname.includes("/blobs/")) return sendTo(remote)(request);
        const location = `https://cdn.example${url.pathname}`;
        return new Response("", { status: 307, headers: { Location: location } });
      };
      const auth = { username: "me", password: "secret" };
      const image = await store.pull("r.example/a/b", { signal, auth });
      expect(image.kind).toBe("wasm");
    });

    test.each(["http://cdn.example/x", "https://169.254.169.254/latest", "ftp://r.example/x"])(
      "pull does not follow a redirect to %s",
      async (location) => {
        respond = async () => new Response("", { status: 302, headers: { Location: location } });
        expect((await failure(store.pull("r.example/a", { signal }))).code).toBe("unsupported");
      },
    );

    test("pull refuses content that is not what its digest says", async () => {
      await remote.pushModule("a", EMPTY_MODULE);
      respond = async (request) =>
        request.url.includes("/blobs/")
          ? new Response(json({ wrong: 1 }))
          : sendTo(remote)(request);
      const error = await failure(store.pull("r.example/a", { signal }));
      expect(["digest-mismatch", "too-large"]).toContain(error.code);
      expect(store.get("r.example/a")).toBeUndefined();
    });

    test("pull says unauthorized when a registry refuses", async () => {
      const headers = { "WWW-Authenticate": 'Basic realm="x"' };
      respond = async () => new Response("", { status: 401, headers });
      expect((await failure(store.pull("r.example/a", { signal }))).code).toBe("unauthorized");
    });

    test("pull ends when it is cancelled", async () => {
      const controller = new AbortController();
      respond = (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => reject(new Error("aborted")));
          controller.abort();
        });
      const error = await failure(store.pull("r.example/a", { signal: controller.signal }));
      expect(error.code).toBe("cancelled");
    });

    test("pull finds the module in the layers of a wasi image, links followed", async () => {
      const layers = [
        await layerOf([{ name: "./bin/app.wasm", bytes: EMPTY_COMPONENT }]),
        await layerOf([{ name: "bin/app.wasm", bytes: EMPTY_MODULE }]),
        await layerOf([{ name: "app", symlink: "../../bin/app.wasm" }]),
      ];
      const name = { repository: "scratch", reference: "v1" };
      await pushImage(sendTo(store), name, wasiConfig(["/app", "--flag"]), layers);
      expect(store.get("scratch:v1")).toBeUndefined();
      const image = await store.pull("scratch:v1", { signal });
      expect(readFileSync(image.modulePath ?? "")).toEqual(Buffer.from(EMPTY_MODULE));
      expect(image.config).toEqual({ entrypoint: ["/app", "--flag"], env: ["A=b"] });
    });

    test.each([
      ["a file a later layer removed", [{ name: ".wh.app", bytes: new Uint8Array() }]],
      ["a link to itself", [{ name: "app", symlink: "app" }]],
      ["a file that is not WebAssembly", [{ name: "app", bytes: json("no") }]],
      ["a link out of the image", [{ name: "app", symlink: "../../../etc/passwd" }]],
    ])("pull refuses %s as entrypoint", async (_, entries) => {
      const base = await layerOf([{ name: "app", bytes: EMPTY_MODULE }]);
      const name = { repository: "scratch", reference: "v1" };
      const layers = [base, await layerOf(entries)];
      await pushImage(sendTo(store), name, wasiConfig(["/app"]), layers);
      expect((await failure(store.pull("scratch:v1", { signal }))).code).toBe("unsupported");
    });

    test("pull takes the WebAssembly image of an index first", async () => {
      const send = sendTo(store);
      const linux = {
        mediaType: "application/vnd.oci.image.config.v1+json",
        bytes: json({ os: "linux", architecture: "amd64", config: { Cmd: ["sh"] } }),
      };
      const layer = await layerOf([{ name: "app", bytes: EMPTY_MODULE }]);
      const name = { repository: "multi", reference: "linux" };
      const other = await pushImage(send, name, linux, [layer]);
      const wasm = await pushImage(send, { ...name, reference: "w" }, wasiConfig(["/app"]), [
        layer,
      ]);
      const entry = (digest: string, os: string, architecture: string) => ({
        mediaType: OCI_MANIFEST,
        digest,
        size: 1,
        platform: { os, architecture },
      });
      const index = json({
        schemaVersion: 2,
        manifests: [entry(other, "linux", "amd64"), entry(wasm, "wasip1", "wasm")],
      });
      const part = { mediaType: OCI_INDEX, bytes: index };
      await pushManifest(send, { ...name, reference: "all" }, part);
      const image = await store.pull("multi:all", { signal });
      expect([image.kind, image.digest]).toEqual(["wasm", wasm]);
      const plain = await store.pull("multi:linux", { signal });
      expect(plain).toMatchObject({ kind: "oci", digest: other, config: { cmd: ["sh"] } });
      expect(plain.modulePath).toBeUndefined();
      expect(descriptorOf(part).size).toBe(index.length);
    });

    test("collectGarbage keeps what names lead to and removes what is old", async () => {
      const kept = await store.pushModule("kept", EMPTY_MODULE);
      const gone = await store.pushModule("gone", EMPTY_COMPONENT);
      clock.advance(2 * 60 * 60 * 1_000);
      await store.remove("gone");
      expect(store.get("kept")).toEqual(kept);
      expect(await Bun.file(gone.modulePath ?? "").exists()).toBe(false);
      expect(await Bun.file(kept.modulePath ?? "").exists()).toBe(true);
      expect(store.list().map((image) => image.reference)).toEqual(["kept:latest"]);
    });

    test("openImageStore removes what a crash left half-written", async () => {
      await store.pushModule("hello", EMPTY_MODULE);
      const half = join(root, "here", "incoming", "half");
      writeFileSync(half, "partial");
      const dotted = join(root, "here", "repositories", "hello", "tags", ".tmp");
      writeFileSync(dotted, "sha2");
      utimesSync(half, 0, 0);
      const again = open("here");
      expect(await Bun.file(half).exists()).toBe(false);
      expect(await Bun.file(dotted).exists()).toBe(false);
      expect(again.list().length).toBe(1);
    });
  });
});
