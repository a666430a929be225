import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, CommandResult } from "./command.ts";
import { encodeCommands } from "./command-codec.ts";
import { MemoryState } from "./memory-state.ts";
import type { KeyValue, LeaseId, Revision, StoreWatchEvent } from "./model.ts";
import { listPast, pastEvents } from "./past.ts";
import { stateHash } from "./state-hash.ts";
import { StateMachine } from "./state-machine.ts";
import { StoreError } from "./store-error.ts";

/*
 * A transcript is a list of steps: a command line, `----`, what it answered, an empty line.
 * Several commands on one line, separated by `;`, are one log entry. UPDATE=1 rewrites the answers.
 *
 *     create KEY VALUE [lease=N]     delete KEY REVISION     grant-lease MS      reopen
 *     update KEY REVISION VALUE      compact REVISION        revoke-lease N      scavenge
 *     list PREFIX [at=REVISION]      events after=REVISION   rows                feature-level N
 */
const folder = join(import.meta.dir, "testdata");
const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Bench {
  readonly #storage = new MemoryState();
  #machine = new StateMachine({ db: this.#storage.db });

  constructor() {
    this.#apply([{ type: "feature-level", level: 1 }]);
  }

  async run(line: string): Promise<string> {
    const [verb = "", ...words] = line.split(" ");
    const option = (name: string) =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    switch (verb) {
      case "list": {
        const at = Number(option("at") ?? this.#machine.revision) as Revision;
        const prefix = words.find((word) => !word.includes("=")) ?? "";
        const found = await listPast(this.#machine, prefix, at, () => Promise.resolve());
        return found.map(showKeyValue).join("\n");
      }
      case "events": {
        const after = Number(option("after")) as Revision;
        const options = { until: this.#machine.revision, limit: 100 };
        return pastEvents(this.#machine, after, options).map(showEvent).join("\n");
      }
      case "rows": {
        const rows = this.#machine.history.page(0 as Revision, 100);
        return rows.map((row) => `${row.revision} ${row.key} previous=${row.previous}`).join("\n");
      }
      case "scavenge":
        while (this.#machine.history.scavenge(this.#machine.compactedRevision, 2) === "more");
        return this.#machine.history.vacuum(1);
      case "reopen": {
        const hash = stateHash(this.#machine);
        this.#machine.flush();
        this.#machine = new StateMachine({ db: this.#storage.db });
        return stateHash(this.#machine) === hash ? "same state" : "another state";
      }
      default:
        return this.#apply(line.split(";").map((part) => parse(part.trim())))
          .map(showResult)
          .join("\n");
    }
  }

  #apply(commands: readonly Command[]): CommandResult[] {
    const index = this.#machine.appliedIndex + 1;
    return this.#machine.apply({ index, term: 1, data: encodeCommands(commands) });
  }
}

function parse(text: string): Command {
  const [verb = "", first = "", second = "", third = ""] = text.split(" ");
  const leased = /lease=(\d+)/.exec(text)?.[1];
  const lease = leased === undefined ? {} : { lease: Number(leased) as LeaseId };
  switch (verb) {
    case "create":
      return { type: "create", key: first, value: encoder.encode(second), ...lease };
    case "update": {
      const expected = Number(second) as Revision;
      return { type: "update", key: first, expected, value: encoder.encode(third), ...lease };
    }
    case "delete":
      return { type: "delete", key: first, expected: Number(second) as Revision };
    case "compact":
      return { type: "compact", revision: Number(first) as Revision };
    case "grant-lease":
      return { type: "grant-lease", ttlMs: Number(first) };
    case "revoke-lease":
      return { type: "revoke-lease", lease: Number(first) as LeaseId };
    case "feature-level":
      return { type: "feature-level", level: Number(first) };
    default:
      throw new Error(`no command ${text}`);
  }
}

function showKeyValue(kv: KeyValue): string {
  const lease = kv.lease === undefined ? "" : ` lease=${kv.lease}`;
  const value = decoder.decode(kv.value);
  const revisions = `@${kv.modRevision} created=${kv.createRevision}`;
  return `${kv.key}=${value} ${revisions} v${kv.version}${lease}`;
}

function showEvent(event: StoreWatchEvent): string {
  const previous = event.previous === undefined ? "none" : `@${event.previous.modRevision}`;
  return `${event.type} ${showKeyValue(event.kv)} previous=${previous}`;
}

function showResult(result: CommandResult): string {
  if (result.type === "key-value") return showKeyValue(result.kv);
  if (result.type === "lease") return `lease ${result.lease}`;
  return result.type === "done" ? "done" : showError(result.error);
}

function showError(error: unknown): string {
  if (!(error instanceof StoreError)) return `error: ${(error as Error).message}`;
  const current = error.current === undefined ? "" : ` [${showKeyValue(error.current)}]`;
  return `${error.code}: ${error.message}${current}`;
}

describe("StateMachine", () => {
  for (const name of readdirSync(folder).sort()) {
    test(`StateMachine: answers as in ${name}`, async () => {
      const path = join(folder, name);
      const given = readFileSync(path, "utf8");
      const bench = new Bench();
      let replayed = "";
      for (const step of given.split(/\n\n+/)) {
        const lines = step.trim().split("\n");
        const comments = lines.filter((line) => line.startsWith("#"));
        const command = lines.find((line) => !line.startsWith("#") && line !== "");
        if (comments.length > 0) replayed += `${comments.join("\n")}\n`;
        if (command === undefined) continue;
        const answer = await bench.run(command).catch(showError);
        replayed += `${command}\n----\n${answer}\n\n`;
      }
      if (process.env["UPDATE"] === "1") writeFileSync(path, replayed);
      expect(replayed).toBe(given);
    });
  }
});
