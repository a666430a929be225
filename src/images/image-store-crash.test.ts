import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, SeededRandom, randomInteger, silentLogger } from "../lib/index.ts";
import { sha256Of } from "./blob-store.ts";
import { openImageStore } from "./image-store.ts";

const ROUNDS = 8;

/** Reads lines until there are so many; what was acknowledged before a kill is kept. */
async function acknowledged(stream: ReadableStream<Uint8Array>, stop: (count: number) => void) {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    stop(text.split("\n").length - 1);
  }
  return text.split("\n").slice(0, -1);
}

test("openImageStore keeps every acknowledged push when its process is killed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kubun-images-"));
  const script = join(import.meta.dir, "testing", "push-forever.ts");
  const random = new SeededRandom(7);
  const names: string[] = [];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const child = Bun.spawn([process.execPath, script, directory, `r${round}`], {
        stdout: "pipe",
      });
      const enough = 1 + randomInteger(random, 20);
      names.push(
        ...(await acknowledged(child.stdout, (count) => {
          if (count >= enough) child.kill("SIGKILL");
        })),
      );
      await child.exited;
      const clock = new ManualClock(Date.now());
      const store = openImageStore({ directory, logger: silentLogger, clock });
      for (const name of names) {
        const path = store.get(name)?.modulePath ?? "";
        expect(path).not.toBe("");
        expect(`sha256:${path.split("/").at(-1)}`).toBe(sha256Of(readFileSync(path)));
      }
      await store.close();
    }
    expect(names.length).toBeGreaterThan(ROUNDS);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
