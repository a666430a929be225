import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, silentLogger } from "../lib/index.ts";
import { sha256Of } from "./blob-store.ts";
import { createDistributionApp } from "./distribution/distribution-app.ts";
import { openImageStore, type ImageStore } from "./image-store.ts";
import { SPIN_APPLICATION, WASM_CONFIG, WASM_LAYER } from "./media-types.ts";
import { EMPTY_COMPONENT, json, pushImage, type Part } from "./testing/image-fixtures.ts";
import { componentWith, moduleWith } from "./testing/wasm-fixtures.ts";

const HANDLER = "wasi:http/incoming-handler@0.2.0";
const STANDARD = componentWith({ imports: ["wasi:io/poll@0.2.0"], exports: [HANDLER] });
const SPIN_LAYER = "application/vnd.wasm.content.layer.v1+wasm";
const signal = new AbortController().signal;

describe("images that Spin pushed", () => {
  let root: string;
  let store: ImageStore;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-spin-"));
    store = openImageStore({ directory: root, logger: silentLogger, clock: new ManualClock() });
  });

  afterEach(async () => {
    await store.close();
    rmSync(root, { recursive: true });
  });

  function push(config: Part, layers: readonly Part[]): Promise<string> {
    const app = createDistributionApp({ images: store, authorize: () => "allow" });
    const name = { repository: "shop", reference: "v1" };
    return pushImage((request) => app.fetch(request), name, config, layers);
  }

  /** As `spin registry push` writes it: an image configuration, and the application as a layer. */
  async function pushSpin(wasm: Uint8Array<ArrayBuffer>, changes: object = {}): Promise<void> {
    const config = json({ architecture: "wasm", os: "wasip1", config: { Labels: {} } });
    await push({ mediaType: "application/vnd.oci.image.config.v1+json", bytes: config }, [
      { mediaType: SPIN_LAYER, bytes: wasm },
      { mediaType: SPIN_APPLICATION, bytes: json({ ...application(wasm), ...changes }) },
    ]);
  }

  function application(wasm: Uint8Array, component: object = {}): object {
    const source = { content_type: "application/wasm", digest: sha256Of(wasm) };
    return {
      spin_lock_version: 0,
      metadata: { name: "shop", trigger: { type: "http" } },
      triggers: [
        { id: "one", trigger_type: "http", trigger_config: { route: "/...", executor: null } },
      ],
      components: [{ id: "shop", source, ...component }],
    };
  }

  async function refusal(): Promise<string> {
    try {
      await store.pull("shop:v1", { signal });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("was not refused");
  }

  test("resolveImage takes a Spin application's one component as the module", async () => {
    const component = {
      env: { LANG: "en" },
      config: { title: "The {{ name }}", secret: "{{ token }}" },
    };
    await pushSpin(STANDARD, {
      ...application(STANDARD, component),
      variables: { name: { default: "shop" }, token: { secret: true } },
    });
    const image = await store.pull("shop:v1", { signal });
    expect(image.kind).toBe("wasm");
    expect(readFileSync(image.modulePath ?? "")).toEqual(Buffer.from(STANDARD));
    expect(image.config).toEqual({ env: ["LANG=en", "title=The shop"], ports: [8_080] });
  });

  test("resolveImage understands the first form too, in the configuration", async () => {
    const config = { mediaType: SPIN_APPLICATION, bytes: json(application(STANDARD)) };
    await push(config, [{ mediaType: SPIN_LAYER, bytes: STANDARD }]);
    expect((await store.pull("shop:v1", { signal })).kind).toBe("wasm");
  });

  test("resolveImage names everything of an application that has no counterpart", async () => {
    await pushSpin(STANDARD, {
      triggers: [
        { id: "a", trigger_type: "redis", trigger_config: { channel: "x" } },
        { id: "b", trigger_type: "http", trigger_config: { executor: { type: "wagi" } } },
      ],
      must_understand: ["host_requirements", "teleport"],
      host_requirements: { local_service_chaining: "required", other: "optional" },
      components: [
        {
          id: "shop",
          source: { content_type: "application/wasm", digest: sha256Of(STANDARD) },
          files: ["a", "b", "c", "d"].map((path) => ({ path, digest: "sha256:0" })),
          dependencies: { "acme:cart": {} },
        },
        { id: "cart", source: {} },
      ],
    });
    expect(await refusal()).toBe(
      [
        "a Spin application that cannot run here: it has 2 components (shop, cart): push each as " +
          "an image of its own",
        "its trigger redis: only http has a counterpart",
        "its executor wagi: push the module itself, with the RuntimeClass wagi",
        "it wants teleport to be understood",
        "it requires local_service_chaining of its host",
        "4 files of its own (a, b, c, …): put them into a ConfigMap or a volume",
        "its dependency acme:cart, which Spin composes when it starts",
      ].join("; "),
    );
  });

  test("resolveImage names the imports of a component that are Spin's own", async () => {
    const imports = ["fermyon:spin/mqtt@2.0.0", "wasi:io/poll@0.2.0", "fermyon:spin/llm@2.0.0"];
    await pushSpin(componentWith({ imports, exports: [HANDLER] }));
    expect(await refusal()).toBe(
      "a Spin application that cannot run here: fermyon:spin/mqtt@2.0.0, fermyon:spin/llm@2.0.0: " +
        "Spin's own interface",
    );
  });

  test("resolveImage tells a core module that Spin would adapt", async () => {
    await pushSpin(moduleWith({}));
    expect(await refusal()).toContain("its binary is a core module");
  });

  test.each([
    ["is not JSON", new TextEncoder().encode("{"), "that is not JSON"],
    ["has another form", json({ spin_lock_version: 7 }), "of another form"],
    [
      "has no component",
      json({ spin_lock_version: 0, triggers: [], components: [] }),
      "no trigger",
    ],
  ])("resolveImage refuses an application that %s", async (_, bytes, message) => {
    const config = { mediaType: SPIN_APPLICATION, bytes: new Uint8Array(bytes) };
    await push(config, [{ mediaType: SPIN_LAYER, bytes: STANDARD }]);
    expect(await refusal()).toContain(message);
  });

  test("resolveImage refuses an artifact of several components", async () => {
    const layers = [STANDARD, EMPTY_COMPONENT].map((bytes) => ({ mediaType: WASM_LAYER, bytes }));
    await push({ mediaType: WASM_CONFIG, bytes: json({}) }, layers);
    expect(await refusal()).toContain("2 wasm layers: compose them into one component");
  });
});
