import { expect, test } from "bun:test";
import type { StoredObject } from "../registry/index.ts";
import { MAX_REMEMBERED_LINES, WatchLines } from "./watch-handler.ts";

function stored(name: string): StoredObject {
  const object = { metadata: { name } };
  const json = (): string => JSON.stringify(object);
  const itemBytes = () => ({ head: "", stored: Buffer.from(json()), from: 0 });
  const revision = 1 as StoredObject["revision"];
  return { revision, object, json, itemJson: json, itemBytes };
}

test("WatchLines: makes the line of an event once", () => {
  const lines = new WatchLines();
  const object = stored("a");
  const line = lines.line("ADDED", object);
  expect(new TextDecoder().decode(line)).toBe(
    '{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n',
  );
  expect(lines.line("ADDED", object)).toBe(line);
  expect(lines.line("DELETED", object)).not.toBe(line);
});

test("WatchLines: forgets the oldest at its limit", () => {
  const lines = new WatchLines();
  const first = stored("first");
  const line = lines.line("ADDED", first);
  for (let index = 0; index < MAX_REMEMBERED_LINES; index++)
    lines.line("ADDED", stored(`${index}`));
  expect(lines.remembered).toBe(MAX_REMEMBERED_LINES);
  expect(lines.line("ADDED", first)).not.toBe(line);
});

test("WatchLines: puts the same lines together once", () => {
  const lines = new WatchLines();
  const group = [lines.line("ADDED", stored("a")), lines.line("ADDED", stored("b"))];
  const joined = lines.join(group);
  expect(new TextDecoder().decode(joined).match(/"ADDED".*\n/g)).toHaveLength(2);
  expect(lines.join([...group])).toBe(joined);
  expect(lines.join([...group].toReversed())).not.toBe(joined);
  expect(lines.join(group.slice(0, 1))).toBe(group[0] as Uint8Array);
});
