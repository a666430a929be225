import { describe, expect, test } from "bun:test";
import { cells } from "../../testing/kind-fixture.ts";

const NOW = Date.UTC(2026, 0, 1, 1);
const image = { image: "a", imageID: "" };
const running = { running: { startedAt: "2026-01-01T00:00:00Z" } };

function pod(status: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const containers = [
    { name: "a", image: "a" },
    { name: "b", image: "b" },
  ];
  const metadata = { name: "x", creationTimestamp: "2026-01-01T00:00:00Z" };
  const { Ready, Status, Restarts } = cells(
    "v1 Pod",
    { metadata, spec: { containers, ...more }, status },
    NOW,
  );
  return [Ready, Status, Restarts];
}

describe("podColumns", () => {
  test("podColumns: a pod that waits for a node", () => {
    expect(pod({ phase: "Pending" })).toEqual(["0/2", "Pending", "0"]);
  });

  test("podColumns: a pod that runs", () => {
    const containerStatuses = ["a", "b"].map((name) => ({
      ...image,
      name,
      ready: true,
      restartCount: 1,
      state: running,
      lastState: { terminated: { exitCode: 1, finishedAt: "2026-01-01T00:55:00Z" } },
    }));
    expect(pod({ phase: "Running", containerStatuses })).toEqual(["2/2", "Running", "2 (5m ago)"]);
  });

  test("podColumns: a status that leaves out the restarts has none", () => {
    const containerStatuses = [{ ...image, name: "a", ready: true, state: running }];
    expect(pod({ phase: "Running", containerStatuses })).toEqual(["1/2", "Running", "0"]);
  });

  test("podColumns: the reason of a container that waits outweighs the phase", () => {
    const waiting = { waiting: { reason: "CrashLoopBackOff" } };
    const containerStatuses = [
      { ...image, name: "a", ready: false, restartCount: 3, state: waiting },
      { ...image, name: "b", ready: true, restartCount: 0, state: running },
    ];
    const found = pod({ phase: "Running", containerStatuses });
    expect(found).toEqual(["1/2", "CrashLoopBackOff", "3"]);
  });

  test("podColumns: a pod that is done", () => {
    const state = { terminated: { exitCode: 0, reason: "Completed" } };
    const containerStatuses = [{ ...image, name: "a", ready: false, restartCount: 0, state }];
    expect(pod({ phase: "Succeeded", containerStatuses })[1]).toBe("Completed");
  });

  test("podColumns: an exit without a reason shows its code", () => {
    const state = { terminated: { exitCode: 3 } };
    const containerStatuses = [{ ...image, name: "a", ready: false, restartCount: 0, state }];
    expect(pod({ phase: "Failed", containerStatuses })[1]).toBe("ExitCode:3");
  });

  test("podColumns: initialization shows how far it is, or what failed", () => {
    const initContainers = [
      { name: "i", image: "i" },
      { name: "j", image: "j" },
    ];
    const done = {
      ...image,
      name: "i",
      ready: true,
      restartCount: 0,
      state: { terminated: { exitCode: 0 } },
    };
    const second = (state: Record<string, unknown>) => ({
      phase: "Pending",
      initContainerStatuses: [done, { ...image, name: "j", ready: false, restartCount: 1, state }],
    });
    expect(pod(second(running), { initContainers })).toEqual(["0/2", "Init:1/2", "1"]);
    const failed = second({ terminated: { exitCode: 1, reason: "Error" } });
    expect(pod(failed, { initContainers })[1]).toBe("Init:Error");
    const waiting = second({ waiting: { reason: "ErrImagePull" } });
    expect(pod(waiting, { initContainers })[1]).toBe("Init:ErrImagePull");
  });

  test("podColumns: a sidecar counts among the containers", () => {
    const initContainers = [{ name: "s", image: "s", restartPolicy: "Always" }];
    const sidecar = { ...image, name: "s", ready: true, started: true, restartCount: 2 };
    const status = {
      phase: "Running",
      initContainerStatuses: [{ ...sidecar, state: running }],
      containerStatuses: [
        { ...image, name: "a", ready: true, restartCount: 0, state: running },
        { ...image, name: "b", ready: false, restartCount: 0, state: running },
      ],
    };
    expect(pod(status, { initContainers })).toEqual(["2/3", "Running", "2"]);
  });

  test("podColumns: a pod that is being deleted terminates", () => {
    const metadata = { name: "x", deletionTimestamp: "2026-01-01T00:00:00Z" };
    const status = { phase: "Running" };
    expect(cells("v1 Pod", { metadata, status }, NOW)).toMatchObject({ Status: "Terminating" });
    const lost = { phase: "Running", reason: "NodeLost" };
    expect(cells("v1 Pod", { metadata, status: lost }, NOW)).toMatchObject({ Status: "Unknown" });
  });

  test("podColumns: wide columns tell address and node", () => {
    const fields = { spec: { containers: [], nodeName: "n" }, status: { podIP: "127.42.0.9" } };
    expect(cells("v1 Pod", fields, NOW)).toMatchObject({
      IP: "127.42.0.9",
      Node: "n",
      "Nominated Node": "<none>",
      "Readiness Gates": "<none>",
    });
  });
});
