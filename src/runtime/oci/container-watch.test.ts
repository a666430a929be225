import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock, silentLogger } from "../../lib/index.ts";
import type { ContainerState, ContainerStatus } from "../runtime.ts";
import { ContainerWatch } from "./container-watch.ts";

function container(id: string, state: ContainerState): ContainerStatus {
  return {
    id,
    sandboxId: "sandbox",
    podUid: "uid",
    name: "main",
    attempt: 0,
    state,
    createdAt: 0,
    image: "image",
    imageRef: "image@sha256:1",
    logPath: "/log",
    warnings: [],
    annotations: {},
  };
}

function watchOver(there: Map<string, ContainerState>) {
  const clock = new ManualClock();
  const told: string[] = [];
  let lists = 0;
  const watch = new ContainerWatch({
    list: async () => {
      lists++;
      return Array.from(there, ([id, state]) => container(id, state));
    },
    onRunning: () => undefined,
    clock,
    logger: silentLogger,
  });
  const abort = new AbortController();
  const reading = (async () => {
    for await (const { type, containerId } of watch.subscribe(abort.signal)) {
      told.push(`${containerId} ${type}`);
    }
  })();
  return {
    watch,
    told,
    lists: () => lists,
    async pass(milliseconds: number) {
      clock.advance(milliseconds);
      await drainMicrotasks();
    },
    async close() {
      watch.close();
      abort.abort();
      await reading;
    },
  };
}

describe("ContainerWatch", () => {
  test("ContainerWatch tells each change once, whoever saw it first", async () => {
    const there = new Map<string, ContainerState>([["a", "running"]]);
    const { watch, told, pass, close } = watchOver(there);
    watch.tell("created", container("a", "created"));
    watch.tell("started", container("a", "running"));
    await pass(1000);
    there.set("a", "exited");
    await pass(1000);
    watch.tell("stopped", container("a", "exited"));
    watch.tell("deleted", container("a", "exited"));
    await drainMicrotasks();
    expect(told).toEqual(["a created", "a started", "a stopped", "a deleted"]);
    await close();
  });

  test("ContainerWatch tells the end of a container that was removed while it ran", async () => {
    const there = new Map<string, ContainerState>([["a", "running"]]);
    const { watch, told, pass, close } = watchOver(there);
    watch.tell("started", container("a", "running"));
    there.clear();
    await pass(1000);
    expect(told).toEqual(["a started", "a stopped", "a deleted"]);
    await close();
  });

  test("ContainerWatch asks nobody while nothing runs", async () => {
    const there = new Map<string, ContainerState>([["old", "exited"]]);
    const { watch, told, lists, pass, close } = watchOver(there);
    watch.adopt([container("old", "exited")]);
    await pass(60_000);
    expect(lists()).toBe(0);
    watch.tell("started", container("a", "running"));
    there.set("a", "exited");
    await pass(1000);
    await pass(60_000);
    expect(lists()).toBe(1);
    expect(told).toEqual(["a started", "a stopped"]);
    await close();
  });
});
