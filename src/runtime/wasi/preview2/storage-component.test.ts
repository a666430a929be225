import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { componentSettings } from "../component/pod-grants.ts";
import { COMPONENTS, TranslatedComponents } from "../component/testing/translated.ts";
import { type HostClock, SystemHostClock } from "../host/host-clock.ts";
import { ComponentCode } from "../worker/component-code.ts";
import { openHost } from "./testing/host-fixture.ts";

const translated = new TranslatedComponents();
const volume = mkdtempSync(join(tmpdir(), "kubun-storage-"));
afterAll(() => {
  translated.remove();
  rmSync(volume, { recursive: true });
});

interface Command {
  run(): Promise<unknown>;
}

/** Runs the component once, in a container of its own. */
async function run(
  args: readonly string[],
  annotations: Readonly<Record<string, string>>,
  clock: HostClock = new SystemHostClock(),
) {
  const code = await ComponentCode.load(await translated.directory(COMPONENTS.storage), undefined);
  using fixture = openHost({
    args: ["storage", ...args],
    env: [["GREETING", "hello variables"]],
    preopens: [{ guestPath: "/data", hostPath: volume, readOnly: false }],
    clock,
    grants: componentSettings(annotations).grants,
  });
  const { exports } = await code.instantiate(fixture.instance.imports);
  const command = exports[code.manifest.entry] as Command;
  const failed = await command.run().then(
    () => false,
    () => true,
  );
  return { failed, said: fixture.output.stdout.join(""), notes: fixture.notes };
}

const GRANTED = {
  "kubun.dev/sqlite-databases": "default=/data/app.db",
  "kubun.dev/blob-containers": "default=/data/blobs",
};

describe("A component that keeps things", () => {
  test("A component that keeps things counts by SQLite, and writes and reads blobs", async () => {
    expect(await run(["count", "blob", "greet"], GRANTED)).toEqual({
      failed: false,
      said: "count 1 half null\nblobs\nhello variables\n",
      notes: [],
    });
    expect((await run(["count", "count"], GRANTED)).said).toBe(
      "count 2 half null\ncount 3 half null\n",
    );
    expect(readFileSync(join(volume, "blobs", "a%2Fb"), "utf8")).toBe("hello blobs");
  }, 60_000);

  test("A component that keeps things waits until another has written", async () => {
    const other = new DatabaseSync(join(volume, "app.db".padEnd(250, "~")));
    other.exec("BEGIN IMMEDIATE");
    const system = new SystemHostClock();
    const clock: HostClock = Object.assign(Object.create(system) as HostClock, {
      // Whoever sets a timer waits for the lock.
      after: (delayMs: number, callback: () => void) => {
        if (other.isTransaction) other.exec("ROLLBACK");
        return system.after(delayMs, callback);
      },
    });
    expect((await run(["count", "count"], GRANTED, clock)).said).toBe(
      "count 4 half null\ncount 5 half null\n",
    );
    expect(other.isTransaction).toBe(false);
    other.close();
  }, 60_000);

  test("A component that keeps things is denied both without annotations", async () => {
    const { failed, said, notes } = await run(["count", "blob"], {});
    expect([failed, said]).toEqual([true, "no database 1\nno container\n"]);
    expect(notes).toHaveLength(2);
  }, 60_000);
});
