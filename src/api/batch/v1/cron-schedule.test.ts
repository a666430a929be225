import { describe, expect, test } from "bun:test";
import { CronScheduleError, parseCronSchedule } from "./cron-schedule.ts";

describe("parseCronSchedule", () => {
  test("parseCronSchedule: reads lists, ranges, steps and names", () => {
    const schedule = parseCronSchedule("0-30/10,45 8 1,15 jan-mar MON");
    expect([...schedule.minutes]).toEqual([0, 10, 20, 30, 45]);
    expect([...schedule.hours]).toEqual([8]);
    expect([...schedule.daysOfMonth]).toEqual([1, 15]);
    expect([...schedule.months]).toEqual([1, 2, 3]);
    expect([...schedule.daysOfWeek]).toEqual([1]);
    expect([schedule.anyDayOfMonth, schedule.anyDayOfWeek]).toEqual([false, false]);
  });

  test("parseCronSchedule: a step without an end goes on to the last value", () => {
    expect([...parseCronSchedule("50/5 * * * *").minutes]).toEqual([50, 55]);
    expect([...parseCronSchedule("*/30 * * * *").minutes]).toEqual([0, 30]);
  });

  test("parseCronSchedule: knows nicknames", () => {
    expect(parseCronSchedule("@daily")).toEqual(parseCronSchedule("0 0 * * *"));
  });

  test.each(["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "@never"])(
    "parseCronSchedule: refuses %p",
    (text) => {
      expect(() => parseCronSchedule(text)).toThrow(CronScheduleError);
    },
  );
});
