import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOciLayout, readOciLayout, writeOciLayout } from "./oci-layout.ts";
import { componentWith } from "./testing/wasm-fixtures.ts";
import { wasmArtifact } from "./wasm-artifact.ts";

const ARTIFACT = wasmArtifact(componentWith({ exports: ["wasi:cli/run@0.2.0"] }));
const { inspection: _, ...CONTENT } = ARTIFACT;

describe("OCI layout", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-layout-"));
  });

  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  test.each(["app", "app.tar"])(
    "readOciLayout gives what writeOciLayout wrote to %s",
    async (name) => {
      const path = join(root, name);
      await writeOciLayout(path, ARTIFACT, { tag: "v1" });
      expect(isOciLayout(path)).toBe(true);
      const read = await readOciLayout(path);
      expect(read.manifest).toEqual(CONTENT.manifest);
      expect(read.blobs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))).toEqual(
        CONTENT.blobs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
      );
    },
  );

  test("writeOciLayout writes the same archive for the same image", async () => {
    const paths = ["a.tar", "b.tar"].map((name) => join(root, name));
    for (const path of paths) await writeOciLayout(path, ARTIFACT);
    const [first, second] = paths.map((path) => readFileSync(path));
    expect(first?.equals(second ?? new Uint8Array())).toBe(true);
  });

  test("readOciLayout refuses damaged content and what is no layout", async () => {
    const path = join(root, "app");
    await writeOciLayout(path, ARTIFACT);
    const [blob] = ARTIFACT.blobs;
    writeFileSync(join(path, "blobs", blob?.digest.replace(":", "/") ?? ""), "damaged");
    expect(readOciLayout(path)).rejects.toThrow(`blob ${blob?.digest} of the layout has digest`);
    expect(isOciLayout(root)).toBe(false);
    expect(readOciLayout(root)).rejects.toThrow("is no OCI image layout: it has no index.json");
    const text = join(root, "text.tar");
    writeFileSync(text, "no archive ".repeat(100));
    expect(readOciLayout(text)).rejects.toThrow("text.tar");
  });
});
