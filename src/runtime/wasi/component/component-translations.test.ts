import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { createProcessSpawner, systemClock } from "../../../os/index.ts";
import { MANIFEST_FILE, TRANSLATION_VERSION } from "./component-manifest.ts";
import {
  ComponentTranslations,
  MAX_CONCURRENT_TRANSLATIONS,
  MAX_WAITING_TRANSLATIONS,
} from "./component-translations.ts";
import { COMPONENTS, TRANSLATE_COMMAND } from "./testing/translated.ts";
import { runTranslation, type TranslationOrder } from "./translation-process.ts";

function image(character: string, modulePath = "/in.wasm") {
  return { digest: `sha256:${character.repeat(64)}`, modulePath };
}

/** What a translator leaves behind, with the code given. */
function writeTranslation(directory: string, code = "export {}"): void {
  mkdirSync(directory, { recursive: true });
  const sha256 = createHash("sha256").update(code).digest("hex");
  writeFileSync(join(directory, "component.js"), code);
  const file = { name: "component.js", sizeBytes: code.length, sha256 };
  const manifest = { version: TRANSLATION_VERSION, kind: "http", code: file, modules: [] };
  writeFileSync(join(directory, MANIFEST_FILE), JSON.stringify(manifest));
}

/** What a promise that must fail is rejected with. */
async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const failure = await promise.catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  return failure as Error;
}

describe("ComponentTranslations", () => {
  let root: string;
  let orders: TranslationOrder[];
  let translate: (order: TranslationOrder) => Promise<void>;
  const open = () =>
    new ComponentTranslations({
      directory: root,
      translate: (order) => {
        orders.push(order);
        return translate(order);
      },
      logger: silentLogger,
    });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "translations-"));
    orders = [];
    translate = async ({ outputDirectory }) => writeTranslation(outputDirectory);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test("ComponentTranslations translates an image once, for all who ask", async () => {
    const translations = open();
    const both = await Promise.all([
      translations.ensure(image("a")),
      translations.ensure(image("a")),
    ]);
    expect(both[0]).toBe(both[1]);
    await translations.ensure(image("a"));
    await open().ensure(image("a"));
    expect(orders).toHaveLength(1);
    expect(existsSync(join(both[0].directory, MANIFEST_FILE))).toBe(true);
  });

  test("ComponentTranslations leaves nothing half when a translation fails", async () => {
    const translations = open();
    translate = async ({ outputDirectory }) => {
      mkdirSync(outputDirectory);
      writeFileSync(join(outputDirectory, "component.js"), "half");
      throw new Error("no");
    };
    expect((await failureOf(translations.ensure(image("a")))).message).toContain("no");
    expect(readdirSync(root)).toEqual([]);
    translate = async ({ outputDirectory }) => writeTranslation(outputDirectory);
    expect((await translations.ensure(image("a"))).manifest.kind).toBe("http");
  });

  test("ComponentTranslations makes anew what was damaged or is of another version", async () => {
    const { directory } = await open().ensure(image("a"));
    const damages: (() => void)[] = [
      () => writeFileSync(join(directory, "component.js"), "export  "),
      () => writeFileSync(join(directory, "component.js"), "export {} "),
      () => rmSync(join(directory, "component.js")),
      () => writeFileSync(join(directory, MANIFEST_FILE), '{"version":'),
      () => writeFileSync(join(directory, MANIFEST_FILE), '{"version":"0","modules":[]}'),
    ];
    for (const [index, damage] of damages.entries()) {
      damage();
      await open().ensure(image("a"));
      expect(orders).toHaveLength(index + 2);
    }
  });

  test("ComponentTranslations notices within one life that files went", async () => {
    const translations = open();
    const { directory } = await translations.ensure(image("a"));
    rmSync(join(directory, "component.js"));
    await translations.ensure(image("a"));
    expect(orders).toHaveLength(2);
  });

  test("ComponentTranslations translates a few at a time, up to a bound", async () => {
    const gate = Promise.withResolvers<void>();
    translate = async ({ outputDirectory }) => {
      await gate.promise;
      writeTranslation(outputDirectory);
    };
    const translations = open();
    const digest = (index: number) => `sha256:${`${index}`.padStart(64, "0")}`;
    const count = MAX_CONCURRENT_TRANSLATIONS + MAX_WAITING_TRANSLATIONS;
    const all = Array.from({ length: count }, (_, index) =>
      translations.ensure({ digest: digest(index), modulePath: "/in.wasm" }),
    );
    await eventually(() => orders.length === MAX_CONCURRENT_TRANSLATIONS);
    const refused = translations.ensure({ digest: digest(count), modulePath: "/in.wasm" });
    expect(await failureOf(refused)).toMatchObject({ code: "exhausted" });
    gate.resolve();
    await Promise.all(all);
    expect(orders).toHaveLength(count);
  });

  test("ComponentTranslations keeps what images need, and sweeps the rest", async () => {
    const translations = open();
    const kept = await translations.ensure(image("a"));
    await translations.ensure(image("b"));
    mkdirSync(join(root, `${"c".repeat(64)}.tmp`));
    translations.keepOnly(new Set([image("a").digest]));
    expect(readdirSync(root)).toEqual(["a".repeat(64)]);
    expect((await translations.ensure(image("a"))).directory).toBe(kept.directory);
    expect(orders).toHaveLength(2);
  });

  test("ComponentTranslations does not take a digest for a path", () => {
    expect(() => open().directoryOf("sha256:../../etc")).toThrow("64 hex digits");
  });
});

describe("runTranslation", () => {
  const options = {
    command: TRANSLATE_COMMAND,
    spawner: createProcessSpawner(),
    clock: systemClock,
  };
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "translation-"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const order = (input: string) => ({ input, outputDirectory: join(root, "out") });

  test("runTranslation gives code, core modules and a manifest", async () => {
    await runTranslation(options, order(COMPONENTS.service));
    const files = readdirSync(join(root, "out"));
    expect(files).toContain("component.js");
    expect(files).toContain("component.core.wasm");
    expect(files).toContain(MANIFEST_FILE);
  });

  test("runTranslation passes on why a file cannot be translated", async () => {
    const path = join(root, "in.wasm");
    const bytes = new Uint8Array(await Bun.file(COMPONENTS.service).arrayBuffer());
    // Its imports can still be read, its end is nonsense.
    await Bun.write(path, Buffer.concat([bytes, Buffer.from([1, 2, 0xff, 0xff])]));
    const failed = runTranslation(options, order(path));
    expect(await failureOf(failed)).toMatchObject({ code: "image-unsupported" });
    expect((await failureOf(failed)).message).toContain("cannot be translated");
  });

  test("runTranslation ends one that takes too long or too much memory", async () => {
    const command = [process.execPath, "-e", "for (;;) {}"];
    const late = runTranslation({ ...options, command, timeoutMs: 50 }, order("x"));
    expect((await failureOf(late)).message).toContain("took more than 50 ms");
    const large = runTranslation({ ...options, command, memoryBytes: 1 }, order("x"));
    expect((await failureOf(large)).message).toContain("took more than 1 bytes of memory");
  });
});
