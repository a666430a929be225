import { expect, test } from "bun:test";
import { join } from "node:path";
import { PodWorld } from "./testing/pod-world.ts";
import { runTranscript } from "./testing/transcript.ts";

test("computePodActions and podStatusOf: what a pod needs and what is told of it", () => {
  const world = new PodWorld();
  const path = join(import.meta.dir, "testdata", "pod-actions.txt");
  const { expected, actual } = runTranscript(path, (line) => world.run(line));
  expect(actual).toBe(expected);
});
