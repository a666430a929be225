import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDataDirectory, locateDataDirectory, readSettings } from "./data-directory.ts";
import { readKubeconfig, writeKubeconfig } from "./kubeconfig.ts";

const folder = mkdtempSync(join(tmpdir(), "kubun-cmd-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("kubeconfig", () => {
  test("readKubeconfig reads back what writeKubeconfig wrote, closed to other users", () => {
    const path = join(folder, "kubeconfig.yaml");
    const entry = { server: "https://127.0.0.1:6443", ca: "PEM\ntext\n", token: "secret" };
    writeKubeconfig(path, entry);
    expect(readKubeconfig(path)).toEqual(entry);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readKubeconfig(join(folder, "none.yaml"))).toBeUndefined();
  });

  test("readKubeconfig names the file and the field that is wrong", () => {
    const path = join(folder, "bad.yaml");
    writeFileSync(path, "clusters: []\nusers: []\n");
    expect(() => readKubeconfig(path)).toThrow(path);
    expect(() => readKubeconfig(path)).toThrow("clusters");
  });
});

describe("createDataDirectory", () => {
  test("createDataDirectory closes the directory and gives sockets a short path", () => {
    const long = join(folder, "a-long-name".repeat(12));
    const directory = createDataDirectory(long);
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
    expect(directory.sockets.length).toBeLessThan(70);
    expect(locateDataDirectory(long)).toEqual(directory);
    rmSync(directory.sockets, { recursive: true, force: true });
  });

  test("readSettings names the field that is wrong", () => {
    const directory = createDataDirectory(join(folder, "cluster"));
    expect(readSettings(directory)).toEqual({});
    writeFileSync(directory.settings, '{"httpsPort": "6443"}');
    expect(() => readSettings(directory)).toThrow("httpsPort");
    rmSync(directory.sockets, { recursive: true, force: true });
  });
});
