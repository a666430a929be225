import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../../lib/index.ts";
import { sha256Of } from "../blob-store.ts";
import { createDistributionApp, openImageStore, type ImageStore } from "../index.ts";
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../media-types.ts";
import {
  descriptorOf,
  json,
  pushBlob,
  pushImage,
  pushManifest,
} from "../testing/image-fixtures.ts";
import { MAX_UPLOADS, UPLOAD_EXPIRY_MS } from "../uploads.ts";
import type { Authorization } from "./distribution-app.ts";

const HELLO = new TextEncoder().encode("hello, blob");
const HELLO_DIGEST = sha256Of(HELLO);
const CONFIG = { mediaType: "application/vnd.example.config+json", bytes: json({}) };
const LAYER = { mediaType: "application/octet-stream", bytes: HELLO };

describe("distribution", () => {
  let directory: string;
  let store: ImageStore;
  let verdict: Authorization;
  let clock: ManualClock;

  function open(): void {
    const options = { directory, logger: silentLogger, clock, maxBlobBytes: 1_000 };
    store = openImageStore(options);
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-images-"));
    clock = new ManualClock();
    verdict = "allow";
    open();
  });

  afterEach(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  async function send(request: Request): Promise<Response> {
    return createDistributionApp({ images: store, authorize: () => verdict }).fetch(request);
  }

  function call(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    return send(new Request(`http://registry.test${path}`, { method, ...init }));
  }

  async function errorCode(response: Response): Promise<string> {
    const body = (await response.json()) as { errors: { code: string; message: string }[] };
    return body.errors[0]?.code ?? "";
  }

  async function startUpload(repository = "a/b"): Promise<string> {
    const answer = await call("POST", `/v2/${repository}/blobs/uploads/`);
    expect(answer.status).toBe(202);
    return answer.headers.get("location") ?? "";
  }

  describe("createDistributionApp", () => {
    test("createDistributionApp answers the ping, and asks for Basic credentials", async () => {
      expect((await call("GET", "/v2/")).status).toBe(200);
      verdict = "unauthenticated";
      const answer = await call("GET", "/v2/");
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe('Basic realm="Kubun registry"');
      expect(await errorCode(answer)).toBe("UNAUTHORIZED");
      verdict = "forbidden";
      expect(await errorCode(await call("GET", "/v2/"))).toBe("DENIED");
    });

    test("createDistributionApp stores a blob sent whole and gives it back in ranges", async () => {
      const pushed = await pushBlob(send, "a/b", HELLO, HELLO_DIGEST);
      expect(pushed.status).toBe(201);
      expect(pushed.headers.get("docker-content-digest")).toBe(HELLO_DIGEST);
      const path = `/v2/a/b/blobs/${HELLO_DIGEST}`;
      const head = await call("HEAD", path);
      expect(head.headers.get("content-length")).toBe("11");
      expect(await (await call("GET", path)).text()).toBe("hello, blob");
      const part = await call("GET", path, { headers: { Range: "bytes=7-" } });
      expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 7-10/11"]);
      expect(await part.text()).toBe("blob");
      const beyond = await call("GET", path, { headers: { Range: "bytes=11-" } });
      expect(beyond.status).toBe(416);
      expect((await call("GET", `/v2/other/blobs/${HELLO_DIGEST}`)).status).toBe(404);
    });

    test("createDistributionApp takes a blob in pieces and refuses one out of order", async () => {
      const url = await startUpload();
      const piece = (text: string, range: string) =>
        call("PATCH", url, { body: text, headers: { "Content-Range": range } });
      expect((await piece("hello", "0-4")).headers.get("range")).toBe("0-4");
      const wrong = await piece("xx", "9-10");
      expect([wrong.status, wrong.headers.get("range")]).toEqual([416, "0-4"]);
      expect((await call("GET", url)).headers.get("range")).toBe("0-4");
      expect((await piece(", ", "5-6")).status).toBe(202);
      const done = await call("PUT", `${url}?digest=${HELLO_DIGEST}`, { body: "blob" });
      expect(done.status).toBe(201);
      expect((await call("GET", url)).status).toBe(404);
    });

    test("createDistributionApp refuses content that is not what its digest says", async () => {
      const wrong = await pushBlob(send, "a", "something else", HELLO_DIGEST);
      expect([wrong.status, await errorCode(wrong)]).toEqual([400, "DIGEST_INVALID"]);
      expect(readdirSync(join(directory, "incoming"))).toEqual([]);
      const odd = await pushBlob(send, "a", "x", "md5:abc");
      expect(await errorCode(odd)).toBe("DIGEST_INVALID");
    });

    test("createDistributionApp refuses a blob beyond the limit, and drops it", async () => {
      const bytes = new Uint8Array(1_001);
      const answer = await pushBlob(send, "a", bytes, sha256Of(bytes));
      expect([answer.status, await errorCode(answer)]).toEqual([413, "SIZE_INVALID"]);
      expect(readdirSync(join(directory, "incoming"))).toEqual([]);
    });

    test("createDistributionApp bounds uploads under way, and forgets the abandoned", async () => {
      for (let count = 0; count < MAX_UPLOADS; count++) await startUpload();
      const answer = await call("POST", "/v2/a/blobs/uploads/");
      expect([answer.status, await errorCode(answer)]).toEqual([429, "TOOMANYREQUESTS"]);
      clock.advance(UPLOAD_EXPIRY_MS + 1);
      await startUpload();
      expect(readdirSync(join(directory, "incoming")).length).toBe(1);
    });

    test("createDistributionApp cancels an upload", async () => {
      const url = await startUpload();
      expect((await call("DELETE", url)).status).toBe(204);
      expect(await errorCode(await call("PATCH", url, { body: "x" }))).toBe("BLOB_UPLOAD_UNKNOWN");
    });

    test("createDistributionApp mounts a blob, or starts an upload", async () => {
      await pushBlob(send, "one", HELLO, HELLO_DIGEST);
      const mount = (from: string) =>
        call("POST", `/v2/two/blobs/uploads/?mount=${HELLO_DIGEST}&from=${from}`);
      expect((await mount("nobody")).status).toBe(202);
      expect((await mount("one")).status).toBe(201);
      expect((await call("HEAD", `/v2/two/blobs/${HELLO_DIGEST}`)).status).toBe(200);
      expect((await call("DELETE", `/v2/one/blobs/${HELLO_DIGEST}`)).status).toBe(202);
      expect((await call("HEAD", `/v2/two/blobs/${HELLO_DIGEST}`)).status).toBe(200);
    });

    test("createDistributionApp keeps manifests by tag and digest over a restart", async () => {
      const digest = await pushImage(send, { repository: "a", reference: "v1" }, CONFIG, [LAYER]);
      open();
      for (const reference of ["v1", digest]) {
        const answer = await call("GET", `/v2/a/manifests/${reference}`);
        expect(answer.headers.get("content-type")).toBe(OCI_MANIFEST);
        expect(answer.headers.get("docker-content-digest")).toBe(digest);
        expect(sha256Of(new Uint8Array(await answer.arrayBuffer()))).toBe(digest);
      }
      const head = await call("HEAD", "/v2/a/manifests/v1");
      expect(Number(head.headers.get("content-length"))).toBeGreaterThan(100);
      expect((await call("DELETE", "/v2/a/manifests/v1")).status).toBe(202);
      expect((await call("GET", "/v2/a/manifests/v1")).status).toBe(404);
      expect((await call("GET", `/v2/a/manifests/${digest}`)).status).toBe(200);
      expect((await call("DELETE", `/v2/a/manifests/${digest}`)).status).toBe(202);
      expect(await errorCode(await call("GET", `/v2/a/manifests/${digest}`))).toBe(
        "MANIFEST_UNKNOWN",
      );
    });

    test("createDistributionApp refuses a manifest that is not whole", async () => {
      const put = (body: Uint8Array<ArrayBuffer>, type = OCI_MANIFEST) =>
        call("PUT", "/v2/a/manifests/v1", { body, headers: { "Content-Type": type } });
      const manifest = { schemaVersion: 2, config: descriptorOf(CONFIG), layers: [] };
      const missing = await put(json(manifest));
      expect([missing.status, await errorCode(missing)]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"]);
      expect(await errorCode(await put(json({})))).toBe("MANIFEST_INVALID");
      expect(await errorCode(await put(json([1]), "text/plain"))).toBe("MANIFEST_INVALID");
      const mixed = await put(json({ ...manifest, mediaType: DOCKER_MANIFEST }));
      expect(await errorCode(mixed)).toBe("MANIFEST_INVALID");
      const big = await put(new Uint8Array(4 * 1024 * 1024 + 1));
      expect(big.status).toBe(413);
    });

    test("createDistributionApp lists referrers of a subject, by artifact type too", async () => {
      const subject = await pushImage(send, { repository: "a", reference: "v1" }, CONFIG, [LAYER]);
      const bytes = json({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        artifactType: "application/vnd.example.sbom",
        config: descriptorOf(CONFIG),
        layers: [],
        subject: { mediaType: OCI_MANIFEST, digest: subject, size: 10 },
        annotations: { by: "test" },
      });
      const answer = await call("PUT", `/v2/a/manifests/${sha256Of(bytes)}`, {
        body: bytes,
        headers: { "Content-Type": OCI_MANIFEST },
      });
      expect(answer.headers.get("oci-subject")).toBe(subject);
      const list = async (query: string) => {
        const found = await call("GET", `/v2/a/referrers/${subject}${query}`);
        expect(found.headers.get("content-type")).toBe(OCI_INDEX);
        const index = (await found.json()) as { manifests: Record<string, unknown>[] };
        return { filters: found.headers.get("oci-filters-applied"), manifests: index.manifests };
      };
      const all = await list("");
      expect(all.manifests).toEqual([
        {
          mediaType: OCI_MANIFEST,
          digest: sha256Of(bytes),
          size: bytes.length,
          artifactType: "application/vnd.example.sbom",
          annotations: { by: "test" },
        },
      ]);
      const none = await list("?artifactType=other");
      expect(none).toEqual({ filters: "artifactType", manifests: [] });
      expect((await call("GET", "/v2/a/referrers/nonsense")).status).toBe(400);
    });

    test("createDistributionApp stores an index over manifests that are there", async () => {
      const digest = await pushImage(send, { repository: "a", reference: "v1" }, CONFIG, [LAYER]);
      const manifests = [{ mediaType: OCI_MANIFEST, digest, size: 10 }];
      const index = json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      await pushManifest(
        send,
        { repository: "a", reference: "all" },
        { mediaType: OCI_INDEX, bytes: index },
      );
      expect((await call("GET", "/v2/a/manifests/all")).headers.get("content-type")).toBe(
        OCI_INDEX,
      );
      const elsewhere = await call("PUT", "/v2/b/manifests/all", {
        body: index,
        headers: { "Content-Type": OCI_INDEX },
      });
      expect(await errorCode(elsewhere)).toBe("MANIFEST_BLOB_UNKNOWN");
    });

    test("createDistributionApp pages through tags and repositories", async () => {
      for (const reference of ["c", "a", "b"]) {
        await pushImage(send, { repository: "x/y", reference }, CONFIG, [LAYER]);
      }
      const first = await call("GET", "/v2/x/y/tags/list?n=2");
      expect(await first.json()).toEqual({ name: "x/y", tags: ["a", "b"] });
      expect(first.headers.get("link")).toBe('</v2/x/y/tags/list?n=2&last=b>; rel="next"');
      const second = await call("GET", "/v2/x/y/tags/list?n=2&last=b");
      expect(await second.json()).toEqual({ name: "x/y", tags: ["c"] });
      expect(second.headers.get("link")).toBeNull();
      const none = (await (await call("GET", "/v2/x/y/tags/list?n=0")).json()) as {
        tags: string[];
      };
      expect(none.tags).toEqual([]);
      expect(await (await call("GET", "/v2/_catalog")).json()).toEqual({ repositories: ["x/y"] });
      expect(await errorCode(await call("GET", "/v2/no/tags/list"))).toBe("NAME_UNKNOWN");
    });

    test("createDistributionApp refuses names outside the grammar", async () => {
      expect(await errorCode(await call("GET", "/v2/UPPER/tags/list"))).toBe("NAME_INVALID");
      expect((await call("GET", "/v2/a/%2e%2e/b/tags/list")).status).toBeGreaterThanOrEqual(400);
      expect((await call("GET", "/v2/a/manifests/..%2f..")).status).toBe(404);
      expect((await call("POST", `/v2/a/blobs/${HELLO_DIGEST}`)).status).toBe(404);
    });
  });
});
