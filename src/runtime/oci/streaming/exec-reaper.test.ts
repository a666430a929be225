import { describe, expect, test } from "bun:test";
import { processesOfExec, type SeenProcess } from "./exec-reaper.ts";

const INIT: SeenProcess = { pid: 10, parent: 1, startTicks: 100, command: ["app"] };
const CHILD: SeenProcess = { pid: 11, parent: 10, startTicks: 900, command: ["sleep", "5"] };
const process = (pid: number, startTicks: number, ...command: string[]): SeenProcess => ({
  pid,
  parent: 1,
  startTicks,
  command,
});

function found(all: readonly SeenProcess[], command: readonly string[]): number[] {
  return processesOfExec(all, { command, sinceTicks: 900, untilTicks: 1100 }).map(({ pid }) => pid);
}

describe("processesOfExec", () => {
  test("processesOfExec: finds the program and what came of it, never the container's own", () => {
    const shell = process(20, 905, "sh", "-c", "sleep 7");
    const below = { ...process(21, 906, "sleep", "7"), parent: 20 };
    const deeper = { ...process(22, 907, "cat"), parent: 21 };
    expect(found([INIT, CHILD, deeper, below, shell], ["sh", "-c", "sleep 7"])).toEqual([
      20, 21, 22,
    ]);
    expect(found([INIT, CHILD], ["sleep", "5"])).toEqual([]);
  });

  test("processesOfExec: of the same command it is the first since the exec", () => {
    const all = [INIT, process(20, 800, "top"), process(23, 910, "top"), process(24, 950, "top")];
    expect(found(all, ["top"])).toEqual([23]);
  });

  test("processesOfExec: one that became another program is known by its time, if alone", () => {
    expect(found([INIT, process(20, 905, "busybox")], ["sh", "-c", "exec busybox"])).toEqual([20]);
    expect(found([INIT, process(20, 905, "a"), process(21, 905, "b")], ["c"])).toEqual([]);
    expect(found([INIT, process(20, 1500, "a")], ["c"])).toEqual([]);
  });
});
