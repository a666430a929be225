import { beforeEach, describe, expect, test } from "bun:test";
import type { Pod } from "../../api/index.ts";
import { ManualClock } from "../../lib/index.ts";
import { RoutingBuilder } from "../routing/routing-builder.ts";
import type { ServicePort } from "../routing/routing-table.ts";
import { service, slice } from "../testing/routing-script.ts";
import { EARLY_MS, EarlyEndpoints, MAX_EARLY_PODS } from "./early-endpoints.ts";
import { WAKES_ANNOTATION } from "./sleepers.ts";

const READY = { ready: true } as const;

describe("EarlyEndpoints", () => {
  let builder: RoutingBuilder;
  let clock: ManualClock;
  let early: EarlyEndpoints;
  let awaited: ServicePort[];
  let changes = 0;

  beforeEach(() => {
    builder = new RoutingBuilder();
    const web = service("d/web", {
      clusterIP: "127.43.78.1",
      selector: { app: "web" },
      ports: [{ port: 80, targetPort: "http" }],
    });
    web.metadata.annotations = { [WAKES_ANNOTATION]: "web" };
    builder.setService(web);
    clock = new ManualClock();
    changes = 0;
    early = new EarlyEndpoints({
      builder,
      clock,
      awaited: () => awaited,
      onChange: () => changes++,
    });
    awaited = [port()];
  });

  function port(): ServicePort {
    const found = builder.build().ports.get("d/web:80");
    if (found === undefined) throw new Error("no port");
    return found;
  }

  function endpoints(): string[] {
    return port().endpoints.map(({ key }) => key);
  }

  function pod(change: { app?: string; uid?: string; deletionTimestamp?: string } = {}): Pod {
    const { app = "web", uid = "u1", ...metadata } = change;
    return {
      metadata: { namespace: "d", name: "web-1", uid, labels: { app }, ...metadata },
      spec: {
        nodeName: "here",
        containers: [{ name: "web", ports: [{ name: "http", containerPort: 8080 }] }],
      },
      status: { podIP: "10.0.0.1" },
    };
  }

  test("EarlyEndpoints: a pod that is ready is an endpoint of a Service that is awaited", () => {
    early.tell(pod(), READY);
    expect([endpoints(), changes]).toEqual([["10.0.0.1:8080"], 1]);
    expect(port().endpoints[0]?.node).toBe("here");
  });

  test("EarlyEndpoints: what the API tells of the pod counts alone", () => {
    early.tell(pod(), READY);
    early.seen(slice("d/web", { port: 8080 }, { "10.0.0.9": "ready" }));
    expect(endpoints()).toEqual(["10.0.0.1:8080"]);
    const told = slice("d/web", { port: 8080 }, { "10.0.0.1": "ready" });
    builder.setEndpointSlice(told);
    early.seen(told);
    expect(endpoints()).toEqual(["10.0.0.1:8080"]);
    builder.deleteEndpointSlice(told);
    expect(endpoints()).toEqual([]);
  });

  test("EarlyEndpoints: a pod that is no longer ready, or of which nobody tells, is none", () => {
    early.tell(pod(), READY);
    early.tell(pod(), { ready: false });
    expect(endpoints()).toEqual([]);
    early.tell(pod(), READY);
    expect(endpoints()).toEqual(["10.0.0.1:8080"]);
    clock.advance(EARLY_MS);
    expect([endpoints(), clock.pending]).toEqual([[], 0]);
  });

  test("EarlyEndpoints: pods that nobody waits for, of others or that leave are none", () => {
    early.tell(pod({ app: "other" }), READY);
    early.tell(pod({ deletionTimestamp: "2026-01-02T03:04:05Z" }), READY);
    awaited = [];
    early.tell(pod(), READY);
    expect([endpoints(), changes]).toEqual([[], 0]);
  });

  test("EarlyEndpoints: there are so many at most", () => {
    for (let index = 0; index <= MAX_EARLY_PODS; index++)
      early.tell(pod({ uid: `u${index}` }), READY);
    expect(changes).toBe(MAX_EARLY_PODS);
  });
});
