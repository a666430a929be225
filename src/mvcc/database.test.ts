import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "./database.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubun-database-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("openDatabase: goes on with a file that was being made when the power failed", () => {
  const path = join(directory, "state.db");
  const unmarked = new Database(path);
  unmarked.pragma("auto_vacuum = INCREMENTAL");
  unmarked.close();
  const db = openDatabase(path);
  expect(db.pragma("auto_vacuum", { simple: true })).toBe(2);
  expect(db.pragma("application_id", { simple: true })).not.toBe(0);
  db.close();
  openDatabase(path).close();
});

test("openDatabase: leaves somebody else's file alone", () => {
  const path = join(directory, "state.db");
  const other = new Database(path);
  other.exec("CREATE TABLE mine (a)");
  other.close();
  expect(() => openDatabase(path)).toThrow("no Kubun state");
});
