import { describe, expect, test } from "bun:test";
import { componentWith, moduleWith } from "./testing/wasm-fixtures.ts";
import { wasmArtifact, type WasmArtifact } from "./wasm-artifact.ts";

const COMPONENT = componentWith({
  imports: ["wasi:io/streams@0.2.3"],
  exports: ["wasi:http/incoming-handler@0.2.3"],
});

function parsed(bytes: Uint8Array | undefined): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function configOf(artifact: WasmArtifact): unknown {
  return parsed(artifact.blobs[1]?.bytes);
}

describe("wasmArtifact", () => {
  test("wasmArtifact writes a component's imports, exports and target", () => {
    const artifact = wasmArtifact(COMPONENT, { target: "wasi:http/proxy@0.2.0" });
    expect(configOf(artifact)).toEqual({
      created: "1970-01-01T00:00:00Z",
      architecture: "wasm",
      os: "wasip2",
      layerDigests: [artifact.inspection.digest],
      component: {
        exports: ["wasi:http/incoming-handler@0.2.3"],
        imports: ["wasi:io/streams@0.2.3"],
        target: "wasi:http/proxy@0.2.0",
      },
    });
    expect(parsed(artifact.manifest.bytes)).not.toHaveProperty("annotations");
  });

  test("wasmArtifact tells a module's imports in an annotation", () => {
    const artifact = wasmArtifact(moduleWith({ imports: ["a.b", "a.c"] }), {
      annotations: { "org.opencontainers.image.source": "https://git.example/app" },
    });
    expect(configOf(artifact)).toMatchObject({ os: "wasip1" });
    expect(configOf(artifact)).not.toHaveProperty("component");
    expect(parsed(artifact.manifest.bytes)).toMatchObject({
      annotations: {
        "dev.kubun.module.imports": "a.b,a.c",
        "org.opencontainers.image.source": "https://git.example/app",
      },
    });
    const many = Array.from({ length: 5_000 }, (_, index) => `a.function${index}`);
    const { manifest } = wasmArtifact(moduleWith({ imports: many }));
    expect(parsed(manifest.bytes)).toMatchObject({
      annotations: { "dev.kubun.module.imports": "a" },
    });
  });

  test("wasmArtifact gives the same digest for the same content in whatever order", () => {
    const digests = [{ annotations: { a: "1", b: "2" } }, { annotations: { b: "2", a: "1" } }].map(
      (options) => wasmArtifact(COMPONENT, options).manifest.digest,
    );
    expect(new Set(digests).size).toBe(1);
    expect(digests[0]).toBe(
      "sha256:549752e4a32d57255906048c3a779131879a69a69534cae2c16594a3f00a92ec",
    );
  });
});
