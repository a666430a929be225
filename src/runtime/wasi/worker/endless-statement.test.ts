import { afterAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NO_GRANTS } from "../component/pod-grants.ts";
import { COMPONENTS, TranslatedComponents } from "../component/testing/translated.ts";
import { TestWorker } from "./testing/start-worker.ts";

const translated = new TranslatedComponents();
afterAll(() => translated.remove());

test("A statement of SQLite that never ends is ended with its worker", async () => {
  const worker = new TestWorker();
  try {
    await worker.connect();
    const volume = join(worker.directory, "volume");
    mkdirSync(volume);
    const directory = await translated.directory(COMPONENTS.endless);
    const sqliteDatabases = [{ name: "default", path: "/data/app.db" }];
    await worker.start(COMPONENTS.endless, {
      preopens: [{ guestPath: "/data", hostPath: volume, readOnly: false }],
      style: "component",
      component: {
        directory,
        grants: { ...NO_GRANTS, sqliteDatabases },
        instances: 1,
        requestTimeoutMs: 200,
        accessLog: false,
        freshInstances: false,
      },
    });
    const answer = await worker.fetch("/").catch((error: unknown) => error);
    expect(answer).toBeInstanceOf(Error);
    await worker.process.exited;
    expect(worker.blockedResult()).toMatchObject({ exitCode: 124, reason: "Error" });
  } finally {
    await worker.dispose();
  }
}, 60_000);
