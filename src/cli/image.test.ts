import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "../client/index.ts";
import { createDistributionApp, openImageStore } from "../images/index.ts";
import type { ImageStore } from "../images/index.ts";
import { ManualClock, silentLogger } from "../lib/index.ts";
import type { Fetch } from "../lib/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import { describeImages, listImages, pushImage } from "./image.ts";

const MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

function connectedBy(fetch: Fetch): ClusterConnection {
  return {
    client: createClient({ fetch, userAgent: "test" }),
    version: "0.0.0",
    pid: 1,
    startedAt: "2026-01-01T00:00:00Z",
    server: "https://127.0.0.1:1",
    ingress: "http://127.0.0.1:1",
    kubeconfig: "/nowhere",
  };
}

describe("image", () => {
  let directory: string;
  let images: ImageStore;
  let cluster: ClusterConnection;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-image-"));
    images = openImageStore({ directory, clock: new ManualClock(), logger: silentLogger });
    const app = createDistributionApp({ images, authorize: () => "allow" });
    cluster = connectedBy(async (request) => app.fetch(request));
  });

  afterEach(async () => {
    await images.close();
    rmSync(directory, { recursive: true });
  });

  test("pushImage and listImages agree on names, tags and digests", async () => {
    const digest = await pushImage(cluster, { reference: "team/app:v1", module: MODULE });
    await pushImage(cluster, { reference: "tool", module: MODULE });
    const listed = await listImages(cluster);
    expect(listed).toEqual([
      { repository: "team/app", tag: "v1", digest },
      { repository: "tool", tag: "latest", digest },
    ]);
    expect(describeImages(listed)).toStartWith("NAME       TAG      DIGEST\nteam/app   v1 ");
  });

  test("pushImage refuses a file that is no module, and names what it is", () => {
    const text = new TextEncoder().encode("hello");
    expect(pushImage(cluster, { reference: "app:v1", module: text })).rejects.toThrow(
      "the file is",
    );
  });

  test("listImages says so when the registry answers in another form", () => {
    const other = connectedBy(async () => Response.json({ repositories: [1] }));
    expect(listImages(other)).rejects.toThrow("/v2/_catalog answered in another form");
  });
});
