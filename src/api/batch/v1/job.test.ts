import { describe, expect, test } from "bun:test";
import { cells, complaints, defaulted, updateComplaints } from "../../testing/kind-fixture.ts";
import type { CronJob, Job } from "./types.ts";

const template = {
  metadata: { labels: { app: "a" } },
  spec: { restartPolicy: "Never", containers: [{ name: "a", image: "a" }] },
};

describe("Job", () => {
  test("defaultJob: runs once, and tries six times more", () => {
    const job = defaulted<Job>("batch/v1 Job", { spec: { template } });
    expect(job.spec).toMatchObject({
      backoffLimit: 6,
      completionMode: "NonIndexed",
      completions: 1,
      parallelism: 1,
      podReplacementPolicy: "TerminatingOrFailed",
      suspend: false,
    });
    expect(job.metadata.labels).toEqual({ app: "a" });
  });

  test("defaultJob: parallelism alone makes a work queue", () => {
    const job = defaulted<Job>("batch/v1 Job", { spec: { parallelism: 3, template } });
    expect(job.spec?.completions).toBeUndefined();
  });

  test("validateJob: a pod that always restarts never completes", () => {
    const always = { ...template, spec: { containers: template.spec.containers } };
    expect(complaints("batch/v1 Job", { spec: { template: always } })).toEqual([
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]);
  });

  test("validateJobUpdate: the template changes only before the start", () => {
    const changed = { ...template, metadata: { labels: { app: "b" } } };
    const found = updateComplaints(
      "batch/v1 Job",
      { spec: { template: changed } },
      {
        spec: { template },
      },
    );
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^spec\.template: Invalid value: .*: field is immutable$/);
    const parked = { spec: { template, suspend: true } };
    expect(updateComplaints("batch/v1 Job", { spec: { template: changed } }, parked)).toEqual([]);
  });

  test("jobColumns: a finished job shows how long it took", () => {
    const status = {
      startTime: "2026-01-01T00:00:00Z",
      completionTime: "2026-01-01T00:01:30Z",
      succeeded: 1,
      conditions: [{ type: "Complete", status: "True" }],
    };
    const row = cells("batch/v1 Job", { spec: { template }, status }, Date.UTC(2026, 0, 2));
    expect(row).toMatchObject({ Status: "Complete", Completions: "1/1", Duration: "90s" });
  });
});

describe("CronJob", () => {
  test("defaultCronJob: allows overlaps, and keeps three jobs that succeeded", () => {
    const spec = { schedule: "* * * * *", jobTemplate: { spec: { template } } };
    expect(defaulted<CronJob>("batch/v1 CronJob", { spec }).spec).toMatchObject({
      concurrencyPolicy: "Allow",
      failedJobsHistoryLimit: 1,
      successfulJobsHistoryLimit: 3,
      suspend: false,
    });
  });

  test("validateCronJob: names what is wrong with the schedule and the zone", () => {
    const spec = { schedule: "* *", timeZone: "Mars/Base", jobTemplate: { spec: { template } } };
    expect(complaints("batch/v1 CronJob", { spec })).toEqual([
      'spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: * *',
      'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base',
    ]);
  });
});
