import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServersFile } from "./servers-file.ts";

describe("ServersFile", () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-servers-"));
    path = join(directory, "servers.json");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("ServersFile: what was learnt outlives a restart", () => {
    const first = ["https://10.0.0.1:6443"];
    const file = new ServersFile(path, first);
    expect(file.list).toEqual(first);
    const { replace } = file;
    replace(["https://10.0.0.2:6443", "https://10.0.0.3:6443"]);
    expect(new ServersFile(path, first).list).toEqual(file.list);
    expect(file.list).toHaveLength(2);
  });

  test("ServersFile: a damaged or empty file counts as none", () => {
    for (const text of ["", "[]", '["http://plain"]', '{"a":1}']) {
      writeFileSync(path, text);
      expect(new ServersFile(path, ["https://a:1"]).list).toEqual(["https://a:1"]);
    }
  });
});
