import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContainerRecord, StateDirectory } from "./state-directory.ts";

let root = "";
let directory: StateDirectory;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kubun-state-"));
  directory = new StateDirectory({
    stateDirectory: join(root, "state"),
    socketDirectory: join(root, "s"),
  });
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function container(message: string): ContainerRecord {
  return {
    id: "c1",
    sandboxId: "s1",
    podUid: "u1",
    config: { name: "web", attempt: 0, image: "i", env: [], mounts: [], ports: [], logPath: "/l" },
    imageRef: "i",
    modulePath: "/m",
    argv: [],
    env: [],
    state: "exited",
    createdAt: 1,
    message,
  };
}

describe("StateDirectory", () => {
  test.each([
    ["a shorter one in the same blocks", "x".repeat(2000), "y"],
    ["a longer one in the same blocks", "y", "x".repeat(2000)],
    ["one of more blocks", "y", "é".repeat(6000)],
    ["one of fewer blocks", "é".repeat(6000), "y"],
  ])("StateDirectory: a record is read as it was written last: %s", (_, before, after) => {
    directory.saveContainer(container(before));
    directory.saveContainer(container(after));
    expect(directory.loadContainers()).toEqual([container(after)]);
    const path = join(root, "state", "containers", "c1");
    expect(readdirSync(path)).toEqual(["state.json"]);
    expect(statSync(join(path, "state.json")).mode & 0o777).toBe(0o600);
  });

  test("StateDirectory: what was cut while it was made is no record, and goes", () => {
    const path = join(root, "state", "containers", "c2");
    mkdirSync(path);
    writeFileSync(join(path, "state.json"), '{"id":"c2","sandb');
    expect(directory.loadContainers()).toEqual([]);
    expect(readdirSync(join(root, "state", "containers"))).toEqual([]);
  });
});
