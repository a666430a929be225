import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDataDirectory, writeSettings } from "./data-directory.ts";
import { deleteCluster } from "./stop.ts";

const folder = mkdtempSync(join(tmpdir(), "kubun-stop-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("deleteCluster", () => {
  test("deleteCluster leaves a directory alone that holds no cluster", async () => {
    const other = join(folder, "editor");
    mkdirSync(other);
    writeFileSync(join(other, "settings.json"), "{}");
    expect(deleteCluster(other)).rejects.toThrow("holds no cluster");
    expect(existsSync(join(other, "settings.json"))).toBe(true);
    expect(deleteCluster(join(folder, "nowhere"))).rejects.toThrow("nothing to delete");
  });

  test("deleteCluster removes what the cluster kept and nothing else", async () => {
    const directory = createDataDirectory(join(folder, "cluster"));
    writeSettings(directory, {});
    const notes = join(directory.path, "notes.txt");
    writeFileSync(notes, "mine");
    await deleteCluster(directory.path);
    expect(existsSync(directory.store)).toBe(false);
    expect(existsSync(directory.sockets)).toBe(false);
    expect(existsSync(notes)).toBe(true);
    rmSync(notes);
    writeSettings(createDataDirectory(directory.path), {});
    await deleteCluster(directory.path);
    expect(existsSync(directory.path)).toBe(false);
  });
});
