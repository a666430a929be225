import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../lib/testing/eventually.ts";
import { createProcessSpawner, WORKER_SHELL } from "./process-spawner.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubun-spawner-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const spawner = createProcessSpawner();

function start(script: string, env: Record<string, string> = {}) {
  const argv = ["/bin/sh", "-c", script];
  return spawner.spawnWorker({ argv, env, directory, maxOpenFiles: 256 });
}

function exitCode(): Promise<string> {
  return eventually(() => readFileSync(join(directory, "exit-code"), "utf8").trim());
}

describe("createProcessSpawner", () => {
  test("createProcessSpawner: records the exit code of a released worker", async () => {
    const worker = await start("exec sleep 0.1");
    worker.release();
    expect(await exitCode()).toBe("0");
    expect(spawner.isAlive(worker.identity)).toBe(false);
    expect(spawner.kill(worker.identity, "SIGKILL")).toBe(false);
  });

  test("createProcessSpawner: a worker that is not released ends with its server", async () => {
    const worker = await start("exec sleep 300");
    expect(spawner.isAlive(worker.identity)).toBe(true);
    worker.discard();
    expect(await exitCode()).toBe("137");
  });

  test("createProcessSpawner: no worker gets more open files than there are", async () => {
    const hardLimit = (limits: string) => /^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1];
    const argv = ["/bin/sleep", "300"];
    const maxOpenFiles = 2 ** 40;
    const worker = await spawner.spawnWorker({ argv, env: {}, directory, maxOpenFiles });
    const limits = readFileSync(`/proc/${worker.identity.pid}/limits`, "utf8");
    const allowed = hardLimit(readFileSync("/proc/self/limits", "utf8"));
    expect(limits).toMatch(new RegExp(`Max open files\\s+${allowed}\\s+${allowed}`));
    worker.discard();
    await exitCode();
  });

  test("createProcessSpawner: a server killed early leaves no worker", async () => {
    // The reader of the shell's output is gone when the shell tells the pid.
    const script = '{ sleep 0.1; exec /bin/sh -c "$@"; } </dev/null | true';
    const worker = [directory, "64", "/bin/sleep", "300"];
    Bun.spawn(["/bin/sh", "-c", script, "pipeline", WORKER_SHELL, "worker", ...worker]).unref();
    expect(await exitCode()).toBe("137");
  });

  test("createProcessSpawner: memory that runs out ends a worker before its server", async () => {
    const worker = await start("exec sleep 300");
    const score = readFileSync(`/proc/${worker.identity.pid}/oom_score_adj`, "utf8");
    expect(Number(score)).toBe(900);
    worker.discard();
    await exitCode();
  });

  test("createProcessSpawner: a worker has no capability but for low ports", async () => {
    const worker = await start("exec sleep 300");
    // Until it becomes the worker, the process still has what it is about to give up.
    const status = await eventually(() => {
      const text = readFileSync(`/proc/${worker.identity.pid}/status`, "utf8");
      return text.startsWith("Name:\tsleep\n") ? text : undefined;
    });
    worker.discard();
    await exitCode();
    expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    // CAP_NET_BIND_SERVICE is bit 10; a user who is not root has none anyway.
    expect(status).toMatch(/^CapEff:\s0{13}[04]00$/m);
  });

  test("createProcessSpawner: a signal shows as 128 + n", async () => {
    const worker = await start("exec sleep 300");
    worker.release();
    expect(spawner.kill(worker.identity, "SIGTERM")).toBe(true);
    expect(await exitCode()).toBe("143");
  });

  test("createProcessSpawner: refuses to signal a process that only has the same pid", async () => {
    const worker = await start("exec sleep 300");
    const stranger = { pid: worker.identity.pid, startTime: "1" };
    expect(spawner.kill(stranger, "SIGKILL")).toBe(false);
    expect(spawner.usage(stranger)).toBeUndefined();
    expect(spawner.isAlive(worker.identity)).toBe(true);
    worker.discard();
    await exitCode();
  });

  test("createProcessSpawner: gives a worker nothing but its own environment", async () => {
    const worker = await start("exec sleep 300", { ONLY: "this" });
    const proc = `/proc/${worker.identity.pid}`;
    const comm = () => readFileSync(`${proc}/comm`, "utf8").trim() === "sleep";
    await eventually(comm);
    const env = readFileSync(`${proc}/environ`, "utf8").split("\0").filter(Boolean);
    expect(env.filter((pair) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(pair))).toEqual(["ONLY=this"]);
    expect(readdirSync(`${proc}/fd`).sort()).toEqual(["0", "1", "2"]);
    expect(readlinkSync(`${proc}/fd/0`)).toBe("/dev/null");
    expect(readFileSync(`${proc}/limits`, "utf8")).toMatch(/Max open files\s+256\s+256/);
    const session = readFileSync(`${proc}/stat`, "utf8").split(" ")[5];
    expect(session).not.toBe(readFileSync("/proc/self/stat", "utf8").split(" ")[5]);
    expect(spawner.usage(worker.identity)?.residentBytes).toBeGreaterThan(0);
    worker.discard();
    await exitCode();
  });

  test("createProcessSpawner: says what a worker that ended at once printed", async () => {
    const command = { argv: ["/nonexistent"], env: {}, directory, maxOpenFiles: 256 };
    const outcome = await spawner.spawnWorker(command).catch((error: unknown) => String(error));
    if (typeof outcome === "string") expect(outcome).toContain("ended at once");
    else outcome.discard();
  });
});
