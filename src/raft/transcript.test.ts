import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bench } from "./testing/bench.ts";

/*
 * A transcript is a list of steps: a command line, `----`, what it answered, an empty line.
 * UPDATE=1 rewrites the answers. `group` begins anew with members 1, 2, 3 …, whose election
 * timeouts are 10, 11, 12 … ticks.
 *
 *     group voters=1,2,3 [learners= witnesses= logN=TERMS term= commit= LIMITS]     join N
 *     wipe N     stop N
 *     restart N [keep=INDEX applied=INDEX recover-to=INDEX memory-entries=COUNT]
 *     cut N | cut N>M     heal
 *     campaign N    tick N [COUNT]    propose N TEXT    config N add M ROLE; remove M
 *     read N CONTEXT    transfer N M    compact N INDEX    unreachable N M    snapshot-failed N M
 *     take N (early messages leave)    finish N (durable: the rest leaves)    drive N (both)
 *     early N    deliver [N>M]    drop [N>M]    duplicate [N>M]
 *     settle [N M …] (these or all, until nothing moves; shows roles, applied entries, reads)
 *     trace [N M …] (the same, and shows messages and writes)
 *     status [N]    log [N]    progress N    members [N]    network
 */
const folder = join(import.meta.dir, "testdata");

describe("createRaft", () => {
  for (const name of readdirSync(folder).sort()) {
    test(`createRaft: behaves as in ${name}`, () => {
      const path = join(folder, name);
      const given = readFileSync(path, "utf8");
      let bench = new Bench();
      let replayed = "";
      for (const step of given.split(/\n\n+/)) {
        const lines = step.trim().split("\n");
        const comments = lines.filter((line) => line.startsWith("#"));
        const command = lines.find((line) => !line.startsWith("#") && line !== "");
        if (comments.length > 0) replayed += `${comments.join("\n")}\n`;
        if (command === undefined) {
          if (comments.length > 0) replayed += "\n";
          continue;
        }
        if (command.startsWith("group")) bench = new Bench();
        replayed += `${command}\n----\n${bench.run(command)}\n\n`;
      }
      if (process.env["UPDATE"] === "1") writeFileSync(path, replayed);
      expect(replayed).toBe(given);
    });
  }
});
