import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../lib/index.ts";
import { ConsiderateLimits, LOOK_INTERVAL_MS, MAX_LOOKS } from "./considerate-limits.ts";
import { noLimits, type ProcessGroup } from "./process-limits.ts";
import { openTimeSlices, type TimeSlice } from "./time-slices.ts";

const OWN_PID = 1;

/** A machine on which each process wants so much of each look's time. */
function machine() {
  const clock = new ManualClock();
  const shares = new Map<number, number>();
  const wanted = new Map<number, number>();
  const set: [number, TimeSlice][] = [];
  const state = { busyMs: 0, busyShare: 1, reads: 0 };
  const limits = new ConsiderateLimits({
    limits: noLimits,
    slices: { set: (pid, slice) => set.push([pid, slice]) },
    readings: {
      machineBusyMs: () => state.busyMs,
      wantedMs(pid) {
        state.reads++;
        return wanted.get(pid);
      },
    },
    spawner: { isAlive: () => true },
    clock,
    ownPid: OWN_PID,
  });
  const turns = (count: number): void => {
    for (let turn = 0; turn < count; turn++) {
      state.busyMs += LOOK_INTERVAL_MS * state.busyShare;
      for (const [pid, share] of shares) {
        wanted.set(pid, (wanted.get(pid) ?? 0) + share * LOOK_INTERVAL_MS);
      }
      clock.advance(LOOK_INTERVAL_MS);
    }
  };
  const start = (pid: number, share: number): void => {
    shares.set(pid, share);
    wanted.set(pid, 0);
    void limits.place({ pid, startTime: "1" }, groupOf(pid));
  };
  return { clock, limits, set, shares, wanted, state, turns, start };
}

function groupOf(pid: number): ProcessGroup {
  const name = `container-${pid}`;
  return { qosClass: "BestEffort", podUid: "uid", name, podCpuRequestMillis: 0, resources: {} };
}

describe("ConsiderateLimits", () => {
  test("ConsiderateLimits lets the server go first", () => {
    expect(machine().set).toEqual([[OWN_PID, "short"]]);
  });

  test("ConsiderateLimits gives long slices to who computes without end, not to the busy", () => {
    const { set, shares, start, turns } = machine();
    start(10, 1);
    start(11, 0.8);
    turns(2);
    expect(set.slice(1)).toEqual([[10, "long"]]);
    shares.set(10, 0.8);
    turns(1);
    expect(set.slice(2)).toEqual([]);
    shares.set(10, 0.1);
    turns(1);
    expect(set.slice(2)).toEqual([[10, "usual"]]);
  });

  test("ConsiderateLimits reads nothing of guests while the machine is quiet", () => {
    const { start, state, turns } = machine();
    state.busyShare = 0.1;
    start(10, 0.1);
    turns(1);
    state.reads = 0;
    turns(5);
    expect(state.reads).toBe(0);
    state.busyShare = 1;
    turns(1);
    expect(state.reads).toBe(1);
  });

  test("ConsiderateLimits looks at a bounded number of guests at once, and comes to all", () => {
    const { set, start, state, turns } = machine();
    for (let pid = 10; pid < 10 + 2 * MAX_LOOKS; pid++) start(pid, 1);
    turns(1);
    expect(state.reads).toBe(MAX_LOOKS);
    turns(4);
    expect(set.length).toBe(1 + 2 * MAX_LOOKS);
  });

  test("ConsiderateLimits forgets who is gone, and then waits for nothing", async () => {
    const { clock, limits, start, turns, wanted, shares } = machine();
    start(10, 1);
    start(11, 1);
    await limits.remove(groupOf(10));
    expect(clock.pending).toBe(1);
    shares.clear();
    wanted.clear();
    turns(1);
    expect(clock.pending).toBe(0);
    start(12, 1);
    expect(clock.pending).toBe(1);
    limits.close();
    expect(clock.pending).toBe(0);
  });
});

describe("openTimeSlices", () => {
  test("openTimeSlices changes the slice of a process and nothing else of it", () => {
    const child = Bun.spawn(["nice", "-n", "7", "sleep", "60"]);
    const slices = openTimeSlices();
    const read = (): string =>
      Bun.spawnSync(["ps", "-o", "cls=,ni=", "-p", `${child.pid}`]).stdout.toString();
    slices?.set(child.pid, "long");
    slices?.set(child.pid, "usual");
    const after = read();
    child.kill();
    // Nobody to change: nothing happens.
    slices?.set(2 ** 30, "long");
    expect(after.trim().split(/\s+/)).toEqual(["TS", expect.stringMatching(/^[07]$/)]);
  });
});
