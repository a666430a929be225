import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../lib/index.ts";
import { sha256Of } from "./blob-store.ts";
import { createDistributionApp } from "./distribution/distribution-app.ts";
import { openImageStore, type ImageStore } from "./image-store.ts";
import { OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";
import type { SendToRegistry } from "./push-content.ts";
import { restoreRegistry, saveRegistry } from "./registry-backup.ts";
import { descriptorOf, json, pushImage, pushManifest } from "./testing/image-fixtures.ts";

const CONFIG = { mediaType: "application/vnd.oci.image.config.v1+json", bytes: json({}) };
const LAYER = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  bytes: json({ large: "x".repeat(100_000) }),
};

let root: string;
let opened: ImageStore[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kubun-backup-"));
  opened = [];
});

afterEach(async () => {
  for (const images of opened) await images.close();
  rmSync(root, { recursive: true });
});

function openRegistry(name: string) {
  const clock = new ManualClock();
  const images = openImageStore({ directory: join(root, name), clock, logger: silentLogger });
  opened.push(images);
  const app = createDistributionApp({ images, authorize: () => "allow" });
  const send: SendToRegistry = async (path, request) =>
    app.fetch(new Request(new URL(path, "http://registry.test"), request));
  return { images, send, fetch: async (request: Request) => app.fetch(request) };
}

test("saveRegistry: restoreRegistry brings every tag back with the same digest", async () => {
  const from = openRegistry("from");
  const one = await pushImage(from.fetch, { repository: "a/b", reference: "v1" }, CONFIG, [LAYER]);
  await pushImage(from.fetch, { repository: "a/b", reference: "v2" }, CONFIG, [LAYER]);
  await pushImage(from.fetch, { repository: "c", reference: "latest" }, CONFIG, []);
  const child = { mediaType: OCI_MANIFEST, digest: one, size: 1 };
  const index = json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] });
  const many = { mediaType: OCI_INDEX, bytes: index };
  await pushManifest(from.fetch, { repository: "a/b", reference: "many" }, many);

  const directory = join(root, "saved");
  expect(await saveRegistry(from.send, directory)).toBe(4);
  const to = openRegistry("to");
  expect(await restoreRegistry(directory, to.send)).toBe(4);

  const tags = (registry: typeof to) =>
    ["a/b", "c"].map((repository) => registry.images.registry.repositories.tags(repository));
  expect(tags(to)).toEqual(tags(from));
  expect(to.images.registry.blobSize("a/b", descriptorOf(LAYER).digest)).toBe(LAYER.bytes.length);
});

test("saveRegistry leaves nothing half-written beside a layout that other tools read", async () => {
  const from = openRegistry("from");
  await pushImage(from.fetch, { repository: "a", reference: "v1" }, CONFIG, [LAYER]);
  const directory = join(root, "saved");
  await saveRegistry(from.send, directory);
  expect(readdirSync(directory).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  expect(readdirSync(join(directory, "blobs", "sha256"))).toHaveLength(3);
});

test("restoreRegistry refuses a blob that is not what its name says", async () => {
  const from = openRegistry("from");
  await pushImage(from.fetch, { repository: "a", reference: "v1" }, CONFIG, [LAYER]);
  const directory = join(root, "saved");
  await saveRegistry(from.send, directory);
  const [, hex = ""] = sha256Of(LAYER.bytes).split(":");
  writeFileSync(join(directory, "blobs", "sha256", hex), "something else");
  const to = openRegistry("to");
  expect(await restoreRegistry(directory, to.send).catch((error: unknown) => error)).toMatchObject({
    name: "ImageError",
    message: expect.stringContaining(hex),
  });
  expect(to.images.registry.repositories.tags("a")?.has("v1") ?? false).toBe(false);
});

test("restoreRegistry refuses a directory that is no layout", async () => {
  const to = openRegistry("to");
  const refused = await restoreRegistry(root, to.send).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "unsupported" });
});
