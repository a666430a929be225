import { describe, expect, test } from "bun:test";
import { isSameProcess, processStartTime } from "./process-identity.ts";

describe("processStartTime", () => {
  test("processStartTime names a running process and is gone with it", async () => {
    const child = Bun.spawn(["sh", "-c", "read -r line"], { stdin: "pipe" });
    const startTime = processStartTime(child.pid);
    expect(startTime).toMatch(/^\d+$/);
    expect(isSameProcess(child.pid, startTime ?? "")).toBe(true);
    expect(isSameProcess(child.pid, "1")).toBe(false);
    child.kill("SIGKILL");
    await child.exited;
    expect(processStartTime(child.pid)).toBeUndefined();
  });
});
