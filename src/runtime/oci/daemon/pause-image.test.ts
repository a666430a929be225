import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpackTar } from "modern-tar";
import { eventually } from "../../../lib/testing/eventually.ts";
import { PAUSE_IMAGE, pauseImageArchive } from "./pause-image.ts";
import { pauseArchitecture, pauseProgram } from "./pause-program.ts";

const directory = mkdtempSync(join(tmpdir(), "kubun-pause-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("pauseProgram", () => {
  test("pauseProgram is an ELF file of its machine, smaller than a page", () => {
    for (const [architecture, machine] of [
      ["amd64", 62],
      ["arm64", 183],
    ] as const) {
      const program = Buffer.from(pauseProgram(architecture));
      expect(program.subarray(1, 4).toString()).toBe("ELF");
      expect(program.readUInt16LE(18)).toBe(machine);
      expect(program.length).toBeLessThan(4096);
    }
  });

  test("pauseProgram waits, and ends in order on SIGTERM", async () => {
    const architecture = pauseArchitecture(process.arch);
    if (process.platform !== "linux" || architecture === undefined) return;
    const path = join(directory, "pause");
    writeFileSync(path, pauseProgram(architecture));
    chmodSync(path, 0o755);
    const child = Bun.spawn({ cmd: [path] });
    const waits = /^Name:\s*pause$[^]*^State:\s*S/m;
    await eventually(async () => waits.test(await Bun.file(`/proc/${child.pid}/status`).text()));
    child.kill("SIGCHLD");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });
});

describe("pauseImageArchive", () => {
  test("pauseImageArchive is one image with its name, the same bytes each time", async () => {
    const archive = await pauseImageArchive("arm64");
    expect(await pauseImageArchive("arm64")).toEqual(archive);
    const index = (await unpackTar(archive)).find(({ header }) => header.name === "index.json");
    expect(new TextDecoder().decode(index?.data)).toContain(PAUSE_IMAGE);
  });
});
