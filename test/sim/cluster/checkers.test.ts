import { describe, expect, test } from "bun:test";
import type { KeyValue, Revision, StoreWatchEvent } from "../../../src/store/index.ts";
import { ClusterViolation } from "./cluster-violation.ts";
import { ClientHistory } from "./history.ts";
import { checkWatches } from "./sim-watcher.ts";
import type { WatchedEvent, WatchRecord } from "./sim-watcher.ts";
import { checkAcknowledged, checkAddresses, configMapEvents } from "./truth.ts";

const TRUTH: readonly WatchedEvent[] = [
  { type: "ADDED", name: "a", value: 1, revision: 11 },
  { type: "MODIFIED", name: "a", value: 2, revision: 12 },
  { type: "DELETED", name: "a", value: 2, revision: 14 },
];

function record(after: number, upTo: number, events: readonly WatchedEvent[]): WatchRecord {
  return { after, upTo, server: "s1", events: [...events] };
}

function stored(key: string, revision: number, object: object, version = 1): StoreWatchEvent {
  const kv: KeyValue = {
    key,
    value: new TextEncoder().encode(JSON.stringify(object)),
    createRevision: revision as Revision,
    modRevision: revision as Revision,
    version,
  };
  return { type: "put", kv };
}

function service(name: string, revision: number, clusterIP: string): StoreWatchEvent {
  return stored(`/registry/core/services/default/${name}`, revision, {
    metadata: { name, namespace: "default" },
    spec: { clusterIP },
  });
}

describe("checkWatches", () => {
  test("checkWatches: accepts what happened between a watch's first and last revision", () => {
    expect(() =>
      checkWatches([record(10, 14, TRUTH), record(11, 13, TRUTH.slice(1, 2))], TRUTH),
    ).not.toThrow();
  });

  test("checkWatches: refuses a gap, a duplicate, another order and another value", () => {
    const [first, second, third] = TRUTH as [WatchedEvent, WatchedEvent, WatchedEvent];
    const wrong = [
      [first, third],
      [first, second, second, third],
      [second, first, third],
      [first, { ...second, value: 3 }, third],
    ];
    for (const events of wrong) {
      expect(() => checkWatches([record(10, 14, events)], TRUTH)).toThrow(ClusterViolation);
    }
  });

  test("checkWatches: refuses a bookmark behind an event that was not told", () => {
    expect(() => checkWatches([record(10, 13, TRUTH.slice(0, 1))], TRUTH)).toThrow(
      ClusterViolation,
    );
  });
});

describe("checkAcknowledged", () => {
  test("checkAcknowledged: refuses a write that is not in the history as it was told", () => {
    const told = { key: "a", value: 2, revision: 12 };
    expect(() => checkAcknowledged([told], TRUTH)).not.toThrow();
    expect(() => checkAcknowledged([{ ...told, revision: 13 }], TRUTH)).toThrow(ClusterViolation);
    expect(() => checkAcknowledged([{ ...told, value: 9 }], TRUTH)).toThrow(ClusterViolation);
  });
});

describe("checkAddresses", () => {
  test("checkAddresses: refuses an address that two Services have at once, not one after", () => {
    const web = service("web", 5, "10.0.0.1");
    const db = service("db", 7, "10.0.0.1");
    expect(() => checkAddresses([web, db])).toThrow(ClusterViolation);
    const gone: StoreWatchEvent = { ...web, type: "delete" };
    expect(() => checkAddresses([web, gone, db])).not.toThrow();
  });
});

describe("configMapEvents", () => {
  test("configMapEvents: tells creations from changes by the version", () => {
    const key = "/registry/core/configmaps/default/a";
    const object = { metadata: { name: "a", namespace: "default" }, data: { v: "3" } };
    const events = configMapEvents([stored(key, 4, object), stored(key, 5, object, 2)]);
    expect(events.map(({ type, value }) => [type, value])).toEqual([
      ["ADDED", 3],
      ["MODIFIED", 3],
    ]);
  });
});

describe("ClientHistory", () => {
  test("ClientHistory: a revision belongs to one write", () => {
    const history = new ClientHistory();
    history.acknowledge({ key: "a", value: 1, revision: 11 });
    expect(() => history.sawObject("a", 2, 11)).toThrow(ClusterViolation);
  });

  test("ClientHistory: shows the order it found and what did not fit", () => {
    const history = new ClientHistory();
    history.record("a", {
      start: 0,
      end: 1,
      call: { verb: "create", value: 1, answer: "done" },
    });
    history.record("a", { start: 2, end: 3, call: { verb: "get", answer: 0 } });
    expect(() => history.check()).toThrow(/none of these fits behind/);
  });
});
