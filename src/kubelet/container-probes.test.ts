import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Container, Probe } from "../api/index.ts";
import type { EventRecorder } from "../client/index.ts";
import { ManualClock } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { ContainerProbes } from "./container-probes.ts";
import type { CommandOutcome } from "./exec-action.ts";
import { PodEvents } from "./pod-events.ts";

describe("probes of a container", () => {
  let status = 200;
  let busy = false;
  let answer: CommandOutcome = { type: "unsupported", message: "exec: no" };
  let answers = true;
  let asked = 0;
  let server: ReturnType<typeof Bun.serve>;
  let clock: ManualClock;
  let events: string[];
  let probes: ContainerProbes | undefined;

  beforeEach(() => {
    status = 200;
    busy = false;
    answers = true;
    asked = 0;
    events = [];
    clock = new ManualClock();
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => {
        asked++;
        if (!answers) return new Promise<Response>(() => undefined);
        return new Response("", { status });
      },
    });
  });
  afterEach(async () => {
    probes?.close();
    await server.stop(true);
  });

  function begin(container: Partial<Container>): {
    changes: () => number;
    probes: ContainerProbes;
  } {
    let changes = 0;
    const recorder: EventRecorder = {
      event: (_object, _type, reason, message) => void events.push(`${reason}: ${message}`),
      flushed: () => Promise.resolve(),
    };
    probes = new ContainerProbes({
      pod: { metadata: { name: "web" } },
      container: { name: "app", ...container },
      status: {
        id: "app#0",
        sandboxId: "s",
        podUid: "u",
        name: "app",
        attempt: 0,
        state: "running",
        createdAt: clock.now(),
        startedAt: clock.now(),
        image: "",
        imageRef: "",
        logPath: "",
        warnings: [],
        annotations: {},
      },
      podIp: "127.0.0.1",
      endpoint: () => undefined,
      run: () => Promise.resolve(answer),
      initially: { ready: false, started: false },
      clock,
      events: new PodEvents(recorder),
      onChange: () => changes++,
      isBusy: () => busy,
    });
    return { changes: () => changes, probes };
  }

  function httpProbe(changes: Partial<Probe> = {}): Probe {
    return { httpGet: { path: "/", port: server.port ?? 0 }, periodSeconds: 10, ...changes };
  }

  /** Lets the clock reach the next question, and waits for its answer. */
  async function nextAsk(): Promise<void> {
    const before = asked;
    clock.advance(10_000);
    await eventually(() => asked > before);
  }

  describe("ContainerProbes", () => {
    test("ContainerProbes: without probes a container is started and ready at once", () => {
      const { probes: found } = begin({});
      expect([found.started, found.ready, found.failed]).toEqual([true, true, undefined]);
      expect(clock.pending).toBe(0);
    });

    test("ContainerProbes: readiness is asked at once and follows the thresholds", async () => {
      const probe = httpProbe({ failureThreshold: 2, successThreshold: 1 });
      const { probes: found, changes } = begin({ readinessProbe: probe });
      expect(found.ready).toBe(false);
      await eventually(() => found.ready);
      expect(changes()).toBe(1);
      status = 503;
      await eventually(() => clock.pending === 1);
      await nextAsk();
      await eventually(() => events.length === 1);
      expect(found.ready).toBe(true);
      await eventually(() => clock.pending === 1);
      await nextAsk();
      await eventually(() => !found.ready);
      expect(events[0]).toBe(
        "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503",
      );
    });

    test("ContainerProbes: waits for the initial delay", async () => {
      const { probes: found } = begin({ readinessProbe: httpProbe({ initialDelaySeconds: 5 }) });
      clock.advance(4999);
      expect([clock.pending, asked]).toEqual([1, 0]);
      clock.advance(1);
      await eventually(() => found.ready);
    });

    test("ContainerProbes: liveness asks for a restart after its threshold", async () => {
      status = 500;
      const { probes: found } = begin({ livenessProbe: httpProbe({ failureThreshold: 2 }) });
      await eventually(() => events.length === 1 && clock.pending === 1);
      expect(found.failed).toBeUndefined();
      await nextAsk();
      await eventually(() => found.failed === "liveness");
      expect(clock.pending).toBe(0);
    });

    test("ContainerProbes: the others wait for the startup probe", async () => {
      status = 500;
      const { probes: found } = begin({
        startupProbe: httpProbe({ failureThreshold: 3 }),
        readinessProbe: httpProbe(),
      });
      await eventually(() => events.length === 1 && clock.pending === 1);
      expect([found.started, found.ready, asked]).toEqual([false, false, 1]);
      status = 200;
      await nextAsk();
      await eventually(() => found.started && found.ready);
      expect(asked).toBe(3);
    });

    test("ContainerProbes: what cannot be asked counts as passed and is told", async () => {
      answer = { type: "unsupported", message: "exec: no" };
      const { probes: found } = begin({ readinessProbe: { exec: { command: ["true"] } } });
      await eventually(() => found.ready);
      expect(events[0]).toContain("exec is not supported");
    });

    test("ContainerProbes: a command that fails is told with what it said", async () => {
      answer = { type: "exited", exitCode: 1, output: "not yet" };
      const { probes: found } = begin({ readinessProbe: { exec: { command: ["check"] } } });
      await eventually(() => events.length === 1);
      expect(events).toEqual(["Unhealthy: Readiness probe failed: not yet"]);
      answer = { type: "exited", exitCode: 0, output: "" };
      await eventually(() => clock.pending === 1);
      clock.advance(10_000);
      await eventually(() => found.ready);
    });

    test("ContainerProbes: a port nobody listens on fails with the address", async () => {
      const port = server.port ?? 0;
      await server.stop(true);
      begin({ livenessProbe: { tcpSocket: { port }, failureThreshold: 1 } });
      await eventually(() => events.length > 0);
      expect(events[0]).toContain(`Liveness probe failed: dial tcp 127.0.0.1:${port}`);
    });

    test("ContainerProbes: a closed one asks no more", () => {
      const { probes: found } = begin({ readinessProbe: httpProbe({ initialDelaySeconds: 1 }) });
      found.close();
      clock.advance(60_000);
      expect(asked).toBe(0);
    });
  });

  test("ContainerProbes: is undecided until its first readiness probe is answered", async () => {
    status = 503;
    const { changes, probes } = begin({ readinessProbe: httpProbe() });
    expect(probes.undecided).toBe(true);
    await eventually(() => !probes.undecided);
    expect([probes.ready, changes()]).toEqual([false, 1]);
    const later = begin({ readinessProbe: httpProbe({ initialDelaySeconds: 5 }) });
    expect(later.probes.undecided).toBe(false);
    later.probes.close();
  });

  test("ContainerProbes: timeouts do not count while the node starts very many", async () => {
    answers = false;
    busy = true;
    const { probes } = begin({ livenessProbe: httpProbe({ failureThreshold: 1 }) });
    await eventually(() => asked === 1);
    clock.advance(1000);
    await eventually(() => clock.pending === 1);
    expect([probes.failed, events]).toEqual([undefined, []]);
    busy = false;
    clock.advance(10_000);
    await eventually(() => asked === 2);
    clock.advance(1000);
    await eventually(() => probes.failed === "liveness");
  });
});
