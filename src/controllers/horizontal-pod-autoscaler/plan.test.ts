import { expect, test } from "bun:test";
import { join } from "node:path";
import { runTranscript } from "../testing/transcript.ts";
import type { ScaleHistory } from "./behavior.ts";
import { replicasForMetric, type MeasuredPod } from "./metric-replicas.ts";
import { planAutoscaler } from "./plan.ts";

const NONE: ScaleHistory = { recommendations: [], changes: [] };

/**
 * `target utilization 50 cpu`, `pods 200/100 …` (use/request, `-` for none, with `:pending`,
 * `:new`, `:failed` behind), `replicas 3` → what the metric asks for;
 * `bounds 1 10`, `behavior {…}`, `wish 8 from 3 at 60` → what becomes of it.
 */
function script(): (line: string) => string {
  let target = { type: "value" as "value" | "utilization", amount: 1 };
  let isCpu = false;
  let pods: MeasuredPod[] = [];
  let bounds = { minReplicas: 1, maxReplicas: 10 };
  let behavior = {};
  let history = NONE;
  return (line) => {
    const [verb = "", ...words] = line.split(" ");
    switch (verb) {
      case "target":
        target = { type: words[0] as "value", amount: Number(words[1]) };
        isCpu = words[2] === "cpu";
        return "";
      case "pods":
        pods = words.map(podOf);
        return "";
      case "replicas": {
        const tolerance = { up: 0.1, down: 0.1 };
        const currentReplicas = Number(words[0]);
        const nowMs = 1_000_000;
        const input = { currentReplicas, pods, target, isCpu, tolerance, nowMs };
        const result = replicasForMetric(input);
        if (result.type === "failed") return `failed: ${result.message}`;
        const { replicas, utilization, averageValue } = result;
        const told = utilization === undefined ? `${averageValue}` : `${utilization}%`;
        return `${currentReplicas} -> ${replicas} at ${told}`;
      }
      case "bounds":
        bounds = { minReplicas: Number(words[0]), maxReplicas: Number(words[1]) };
        history = NONE;
        behavior = {};
        return "";
      case "behavior":
        behavior = JSON.parse(words.join(" "));
        history = NONE;
        return "";
      default: {
        const [wish, , from, , at] = words;
        const nowMs = Number(at) * 1000;
        const current = Number(from);
        const result =
          wish === "unknown"
            ? ({ type: "failed", message: "nobody tells" } as const)
            : ({ type: "replicas", replicas: Number(wish), averageValue: 1 } as const);
        const plan = planAutoscaler({
          autoscaler: {
            metadata: {},
            spec: { ...bounds, behavior, scaleTargetRef: { kind: "Deployment", name: "d" } },
          },
          current,
          proposals: [{ name: "cpu", failure: "FailedGetResourceMetric", result }],
          history,
          nowMs,
        });
        const recommended = plan.recommendation;
        history = {
          recommendations: [
            ...history.recommendations,
            ...(recommended === undefined ? [] : [{ atMs: nowMs, replicas: recommended }]),
          ],
          changes: [
            ...history.changes,
            ...(plan.desired === current ? [] : [{ atMs: nowMs, by: plan.desired - current }]),
          ],
        };
        const told = plan.conditions.map(({ reason, status }) => `${reason}=${status}`).join(" ");
        const why = plan.reason === "" ? "" : ` (${plan.reason})`;
        return `${current} -> ${plan.desired}${why}: ${told}`;
      }
    }
  };
}

function podOf(text: string, index: number): MeasuredPod {
  const [amounts = "", state = ""] = text.split(":");
  const [value, request] = amounts.split("/");
  return {
    name: `p${index}`,
    phase: state === "pending" ? "Pending" : state === "failed" ? "Failed" : "Running",
    deleted: state === "deleted",
    ready: state !== "new",
    readyChangedMs: state === "new" ? 990_000 : 100_000,
    startedMs: state === "new" ? 990_000 : 90_000,
    value: value === "-" ? undefined : Number(value),
    ...(request === undefined ? {} : { request: Number(request) }),
    measuredMs: 999_000,
    windowMs: 10_000,
  };
}

test("replicasForMetric: as Kubernetes' replica calculator, see testdata", () => {
  const { expected, actual } = runTranscript(
    join(import.meta.dir, "testdata", "metrics.txt"),
    script(),
  );
  expect(actual).toBe(expected);
});

test("planAutoscaler: bounds, rates and windows, see testdata", () => {
  const { expected, actual } = runTranscript(
    join(import.meta.dir, "testdata", "behavior.txt"),
    script(),
  );
  expect(actual).toBe(expected);
});
