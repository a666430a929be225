import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drainMicrotasks, ManualClock, silentLogger } from "../../../lib/index.ts";
import type { ControlConnection } from "../control-connection.ts";
import { noLimits, type ProcessGroup } from "../limits/process-limits.ts";
import { workerDirectory, type WorkerProcess } from "../worker-process.ts";
import { SHARED_IDLE_MS, WorkerSeats, type WorkerSeatsOptions } from "./worker-seats.ts";

const GROUP: ProcessGroup = {
  qosClass: "Burstable",
  podUid: "u",
  name: "c",
  podCpuRequestMillis: 0,
  resources: { cpuLimitMillis: 100 },
};

describe("WorkerSeats", () => {
  let root: string;
  let clock: ManualClock;
  let launched: { worker: WorkerProcess; end: () => void }[];
  let refuse: boolean;
  let placed: [id: string, cpuLimitMillis: number | undefined][];
  let seats: WorkerSeats;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "seats-"));
    clock = new ManualClock();
    launched = [];
    refuse = false;
    placed = [];
    const places = { workersDirectory: join(root, "w"), controlDirectory: join(root, "c") };
    const options: WorkerSeatsOptions = {
      pool: { take: () => Promise.resolve(launch("own").worker) },
      launchShared: async () => {
        if (refuse) throw new Error("no memory");
        return launch(`shared-${launched.length}`).worker;
      },
      places,
      limits: {
        ...noLimits,
        place: async (_process, { name, resources }) => {
          placed.push([name, resources.cpuLimitMillis]);
        },
      },
      clock,
      logger: silentLogger,
    };
    const launch = (id: string) => {
      mkdirSync(workerDirectory(places, id), { recursive: true });
      const closed = Promise.withResolvers<void>();
      const connection = {
        isClosed: false,
        closed: closed.promise,
        close: () => {
          connection.isClosed = true;
          closed.resolve();
        },
      };
      const worker: WorkerProcess = {
        id,
        identity: { pid: 1, startTime: "1" },
        connection: connection as unknown as ControlConnection,
      };
      const made = { worker, end: connection.close };
      launched.push(made);
      return made;
    };
    seats = new WorkerSeats(options);
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const sharing = (domain: string, capacity = 2) => ({ domain, capacity, group: GROUP });
  const onDisk = () => readdirSync(join(root, "w")).sort();

  test("WorkerSeats: who shares nothing has a process of the pool", async () => {
    expect((await seats.take("a")).id).toBe("own");
    expect(seats.sharedProcesses).toBe(0);
  });

  test("WorkerSeats: containers of one domain fill a process, at once and one by one", async () => {
    const both = await Promise.all([seats.take("a", sharing("d")), seats.take("b", sharing("d"))]);
    expect(both.map(({ id }) => id)).toEqual(["shared-0", "shared-0"]);
    const [third, other] = [
      await seats.take("c", sharing("d")),
      await seats.take("e", sharing("other")),
    ];
    expect([third.id, other.id]).toEqual(["shared-1", "shared-2"]);
    expect(third.shared).toEqual({ domain: "d", capacity: 2 });
    seats.leave("a", both[0]);
    expect((await seats.take("f", sharing("d"))).id).toBe("shared-0");
  });

  test("WorkerSeats: the process's limits are the sum of its containers'", async () => {
    const worker = await seats.take("a", sharing("d"));
    await seats.take("b", sharing("d"));
    clock.advance(1000);
    seats.leave("b", worker);
    clock.advance(1000);
    expect(placed).toEqual([
      ["shared-0", 200],
      ["shared-0", 100],
    ]);
  });

  test("WorkerSeats: a process that is adopted has the limits of all that are in it", () => {
    const shared = { domain: "d", capacity: 2 };
    const address = { id: "old", identity: { pid: 1, startTime: "1" }, shared };
    for (const container of ["a", "b"]) seats.adopt(container, address, GROUP);
    clock.advance(1000);
    expect(placed).toEqual([["old", 200]]);
  });

  test("WorkerSeats: an empty process ends after a time, unless somebody comes", async () => {
    const worker = await seats.take("a", sharing("d"));
    seats.leave("a", worker);
    clock.advance(SHARED_IDLE_MS - 1);
    expect((await seats.take("b", sharing("d"))).id).toBe("shared-0");
    clock.advance(SHARED_IDLE_MS);
    expect(worker.connection.isClosed).toBe(false);
    seats.leave("b", worker);
    clock.advance(SHARED_IDLE_MS);
    expect(worker.connection.isClosed).toBe(true);
    expect(seats.sharedProcesses).toBe(0);
    expect(onDisk()).toEqual([]);
  });

  test("WorkerSeats: nobody is put into a process that ended, and its files go", async () => {
    const worker = await seats.take("a", sharing("d", 3));
    await seats.take("b", sharing("d", 3));
    launched[0]?.end();
    await drainMicrotasks();
    expect((await seats.take("c", sharing("d", 3))).id).toBe("shared-1");
    seats.leave("a", worker);
    expect(onDisk()).toEqual(["shared-0", "shared-1"]);
    seats.leave("b", worker);
    expect(onDisk()).toEqual(["shared-1"]);
  });

  test("WorkerSeats: a process that cannot be started fails only who wanted it", async () => {
    refuse = true;
    const [one, two] = [seats.take("a", sharing("d")), seats.take("b", sharing("d"))];
    expect(await one.catch((error: unknown) => String(error))).toContain("no memory");
    expect(await two.catch((error: unknown) => String(error))).toContain("no memory");
    refuse = false;
    expect((await seats.take("c", sharing("d"))).id).toBe("shared-0");
    expect(seats.sharedProcesses).toBe(1);
  });

  test("WorkerSeats: a seat of a former server counts, its files go with the last", async () => {
    const shared = { domain: "d", capacity: 2 };
    const address = { id: "old", identity: { pid: 1, startTime: "1" }, shared };
    mkdirSync(join(root, "w", "old"), { recursive: true });
    seats.adopt("a", address, GROUP);
    seats.adopt("b", address, GROUP);
    expect(seats.sharedProcesses).toBe(1);
    // Nobody listens there: it is not trusted with more.
    expect(await seats.connect(address)).toBeUndefined();
    expect((await seats.take("c", sharing("d"))).id).toBe("shared-0");
    seats.leave("a", address);
    seats.leave("b", address);
    expect(onDisk()).toEqual(["shared-0"]);
  });

  test("WorkerSeats: what nobody is in ends with the server, the others are let go", async () => {
    const [kept, empty] = [
      await seats.take("a", sharing("d")),
      await seats.take("b", sharing("other")),
    ];
    seats.leave("b", empty);
    seats.close();
    expect([kept.connection.isClosed, empty.connection.isClosed]).toEqual([true, true]);
    expect(onDisk()).toEqual(["shared-0"]);
  });
});
