import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NO_GRANTS } from "../../component/pod-grants.ts";
import { type HostClock, SystemHostClock } from "../../host/host-clock.ts";
import { imported, openHost, refusal, type HostFixture } from "../testing/host-fixture.ts";
import { BUSY_TIMEOUT_MS, type Connection } from "./connection.ts";
import { MAX_DATABASE_PAGES, MAX_STATEMENT_BYTES, MAX_VALUE_BYTES } from "./database-file.ts";
import { MAX_CONNECTIONS } from "./database-pool.ts";
import {
  MAX_RESULT_BYTES,
  MAX_RESULT_ROWS,
  type QueryResult,
  STATEMENT_TIMEOUT_MS,
  type SqliteValue,
} from "./run-statement.ts";

const root = mkdtempSync(join(tmpdir(), "kubun-sqlite-"));
afterAll(() => rmSync(root, { recursive: true }));
let volume = "";
beforeEach(() => {
  volume = mkdtempSync(join(root, "volume-"));
});

/** Where a database file says how many pages it has. */
const PAGES_OFFSET = 28;

/** What is on the disk for `app.db`. */
const FILE = "app.db".padEnd(250, "~");

const integer = (value: number | bigint): SqliteValue => ({ tag: "integer", val: BigInt(value) });

interface Sqlite {
  readonly Connection: { open(name: string): Connection | Promise<Connection> };
  open(name: string): number | Promise<number>;
  execute(
    connection: number,
    statement: string,
    parameters: readonly SqliteValue[],
  ): QueryResult | Promise<QueryResult>;
  close(connection: number): void;
}

function openDatabases(paths: Record<string, string>, options: { clock?: HostClock } = {}) {
  const sqliteDatabases = Object.entries(paths).map(([name, path]) => ({ name, path }));
  return openHost({
    preopens: [
      { guestPath: "/data", hostPath: volume, readOnly: false },
      { guestPath: "/ro", hostPath: volume, readOnly: true },
    ],
    grants: { ...NO_GRANTS, sqliteDatabases },
    ...options,
  });
}

function sqliteOf({ instance }: HostFixture): Sqlite {
  const take = <Name extends keyof Sqlite>(name: Name) =>
    imported<Sqlite[Name]>(instance, "fermyon:spin/sqlite", name);
  return {
    Connection: take("Connection"),
    open: take("open"),
    execute: take("execute"),
    close: take("close"),
  };
}

function connect(fixture: HostFixture, name = "default"): Connection {
  const opened = sqliteOf(fixture).Connection.open(name);
  if (opened instanceof Promise) throw new Error("the database was locked");
  return opened;
}

function run(connection: Connection, statement: string, ...parameters: SqliteValue[]) {
  const result = connection.execute(statement, parameters);
  if (result instanceof Promise) throw new Error(`${statement} had to wait`);
  return result;
}

function failure(connection: Connection, statement: string, ...parameters: SqliteValue[]): string {
  const payload = refusal(() => run(connection, statement, ...parameters));
  const { tag, val } = payload as { tag: string; val?: string };
  return val === undefined ? tag : `${tag}: ${val}`;
}

const APP = { default: "/data/app.db" };

describe("connection", () => {
  test("connection gives every kind of value back as it took it", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    run(connection, "CREATE TABLE t (i, r, t, b, n)");
    const values: SqliteValue[] = [
      integer(9_223_372_036_854_775_807n),
      { tag: "real", val: 1 },
      { tag: "text", val: "grün" },
      { tag: "blob", val: Uint8Array.of(0, 255) },
      { tag: "null" },
    ];
    const inserted = run(connection, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", ...values);
    expect(inserted).toEqual({ columns: [], rows: [] });
    expect(run(connection, "SELECT *, i AS i FROM t")).toEqual({
      columns: ["i", "r", "t", "b", "n", "i"],
      rows: [{ values: [...values, integer(9_223_372_036_854_775_807n)] }],
    });
  });

  test("connection keeps what was committed, and rolls back what it was dropped with", () => {
    using fixture = openDatabases(APP);
    const first = connect(fixture);
    run(first, "CREATE TABLE t (a)");
    run(first, "BEGIN");
    run(first, "INSERT INTO t VALUES (1)");
    first[Symbol.dispose]();
    const second = connect(fixture);
    expect(run(second, "SELECT count(*) FROM t").rows[0]?.values).toEqual([integer(0)]);
    run(second, "INSERT INTO t VALUES (2)");
    fixture.instance.close();
    using again = openDatabases(APP);
    expect(run(connect(again), "SELECT a FROM t").rows[0]?.values).toEqual([integer(2)]);
  });

  test("connection hands neither temporary tables nor settings to whoever opens next", () => {
    using fixture = openDatabases(APP);
    for (const statement of ["CREATE TEMP TABLE mine (a)", "PRAGMA foreign_keys = OFF"]) {
      const connection = connect(fixture);
      run(connection, statement);
      connection[Symbol.dispose]();
    }
    const next = connect(fixture);
    expect(failure(next, "SELECT * FROM mine")).toContain("no such table");
    expect(run(next, "PRAGMA foreign_keys").rows[0]?.values).toEqual([integer(1)]);
  });

  test("connection takes one statement, with comments, and none", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    expect(run(connection, "-- a\nSELECT 1; /* b */ ;").rows).toHaveLength(1);
    expect(run(connection, "/* a */ -- b\n/**/ SELECT 1").rows).toHaveLength(1);
    for (const nothing of [" -- nothing", "/* a */ ; /* b", ""]) {
      expect(run(connection, nothing)).toEqual({ columns: [], rows: [] });
    }
    const second = "SELECT 1; /* a */ SELECT 2 /* b */";
    expect(failure(connection, second)).toContain("more than one statement");
    expect(failure(connection, "SELECT 1; SELECT 2")).toContain("more than one statement");
    expect(failure(connection, "SELEC 1")).toContain("syntax error");
    expect(failure(connection, "SELECT ?", integer(1), integer(2))).toContain("io: ");
  });

  test("connection without a grant is denied, and told once which annotation would do", () => {
    using fixture = openDatabases({});
    const { Connection } = sqliteOf(fixture);
    expect(refusal(() => Connection.open("default"))).toEqual({ tag: "access-denied" });
    expect(refusal(() => Connection.open("default"))).toEqual({ tag: "access-denied" });
    expect(fixture.notes).toHaveLength(1);
    expect(fixture.notes[0]).toContain("fermyon:spin/sqlite");
    expect(fixture.notes[0]).toContain("kubun.dev/sqlite-databases");
  });

  test.each(["/elsewhere/app.db", "/ro/app.db"])("connection to %p needs a volume", (path) => {
    using fixture = openDatabases({ default: path });
    const { Connection } = sqliteOf(fixture);
    const payload = refusal(() => Connection.open("default"));
    expect(payload).toMatchObject({ tag: "io", val: expect.stringContaining("no volume") });
    expect(fixture.notes).toHaveLength(1);
  });

  test("fermyon:spin/sqlite without a version numbers its connections", async () => {
    using fixture = openDatabases(APP);
    const sqlite = sqliteOf(fixture);
    const connection = await sqlite.open("default");
    const { columns } = await sqlite.execute(connection, "SELECT 1 AS one", []);
    expect(columns).toEqual(["one"]);
    sqlite.close(connection);
    sqlite.close(connection);
    expect(refusal(() => sqlite.execute(connection, "SELECT 1", []))).toEqual({
      tag: "invalid-connection",
    });
  });
});

describe("The sandbox of a database", () => {
  test.each([
    "ATTACH '/tmp/kubun-outside.db' AS other",
    "ATTACH ':memory:' AS other",
    "ATTACH '' AS other",
    "VACUUM INTO '/tmp/kubun-outside.db'",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA max_page_count = 4294967294",
    "PRAGMA writable_schema = ON",
    "SELECT load_extension('/tmp/kubun-outside.so')",
  ])("The sandbox of a database refuses %p", (statement) => {
    using fixture = openDatabases(APP);
    expect(failure(connect(fixture), statement)).toMatch(/^io: .*(authoriz|no such function)/);
    expect(existsSync("/tmp/kubun-outside.db")).toBe(false);
  });

  test("The sandbox of a database lets its own space be cleaned and asked about", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    run(connection, "CREATE TABLE t (a)");
    run(connection, "VACUUM");
    expect(run(connection, "PRAGMA table_info(t)").rows).toHaveLength(1);
    expect(run(connection, "SELECT name FROM pragma_table_info('t')").rows).toHaveLength(1);
  });

  test("The sandbox of a database follows no link out of the volume", () => {
    const outside = mkdtempSync(join(root, "outside-"));
    writeFileSync(join(outside, "app.db"), "");
    symlinkSync(outside, join(volume, "directory"));
    symlinkSync(join(outside, "app.db"), join(volume, "file.db"));
    mkdirSync(join(volume, "real.db"));
    using fixture = openDatabases({
      a: "/data/directory/app.db",
      b: "/data/file.db",
      c: "/data/real.db",
      d: "/data/none/app.db",
    });
    for (const name of ["a", "b", "c", "d"]) {
      expect(refusal(() => connect(fixture, name))).toMatchObject({ tag: "io" });
    }
    expect(readdirSync(outside)).toEqual(["app.db"]);
  });

  test("The sandbox of a database holds when its directory becomes a link", () => {
    const outside = mkdtempSync(join(root, "outside-"));
    mkdirSync(join(volume, "directory"));
    {
      using fixture = openDatabases({ default: "/data/directory/app.db" });
      const connection = connect(fixture);
      run(connection, "CREATE TABLE t (a)");
      renameSync(join(volume, "directory"), join(volume, "moved"));
      symlinkSync(outside, join(volume, "directory"));
      run(connection, "INSERT INTO t VALUES (1)");
      run(connection, "PRAGMA wal_checkpoint");
    }
    expect(readdirSync(outside)).toEqual([]);
  });

  test("The sandbox of a database leaves journals alone, which can name any file", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    run(connection, "CREATE TABLE t (a)");
    expect(readdirSync(volume).sort()).toEqual([FILE, `${FILE}-shm`, `${FILE}-wal`]);
    expect(() => writeFileSync(join(volume, `${FILE}-journal`), "hot")).toThrow("ENAMETOOLONG");
    writeFileSync(join(volume, "app.db-journal"), "hot");
    expect(run(connect(fixture), "SELECT * FROM t").rows).toEqual([]);
  });

  test.each(["-wal", "-shm"])("The sandbox of a database follows no link as its %s", (ending) => {
    const outside = join(mkdtempSync(join(root, "outside-")), "file");
    writeFileSync(outside, "content");
    {
      using fixture = openDatabases(APP);
      run(connect(fixture), "CREATE TABLE t (a)");
    }
    symlinkSync(outside, join(volume, FILE + ending));
    using again = openDatabases(APP);
    expect(refusal(() => connect(again))).toMatchObject({ tag: "io" });
    expect(readFileSync(outside, "utf8")).toBe("content");
  });

  test("A database takes over a file of its plain name", () => {
    const made = new DatabaseSync(join(volume, "app.db"));
    made.exec("CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    made.close();
    using fixture = openDatabases(APP);
    expect(run(connect(fixture), "SELECT a FROM t").rows[0]?.values).toEqual([integer(7)]);
    expect(readdirSync(volume)).not.toContain("app.db");
  });

  test("The sandbox of a database refuses a file that is none", () => {
    writeFileSync(
      join(volume, "app.db"),
      "no database, but long enough to be looked at".repeat(99),
    );
    using fixture = openDatabases(APP);
    expect(refusal(() => connect(fixture))).toMatchObject({
      tag: "io",
      val: expect.stringContaining("not a database"),
    });
  });
});

describe("The limits of a database", () => {
  test("The limits of a database are connections, statements, parameters and values", () => {
    using fixture = openDatabases(APP);
    const connections = Array.from({ length: MAX_CONNECTIONS }, () => connect(fixture));
    expect(refusal(() => connect(fixture))).toMatchObject({ tag: "io" });
    const [first, ...rest] = connections;
    for (const connection of rest) connection[Symbol.dispose]();
    if (first === undefined) throw new Error("no connection");
    const long = `SELECT 1 ${" ".repeat(MAX_STATEMENT_BYTES)}`;
    expect(failure(first, long)).toStartWith("io: ");
    expect(failure(first, `SELECT zeroblob(${MAX_VALUE_BYTES + 1})`)).toContain("too big");
  });

  test("The limits of a database are the rows and bytes of a result", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    const count = (rows: number) =>
      `WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ${rows}) ` +
      "SELECT x FROM c";
    expect(run(connection, count(MAX_RESULT_ROWS)).rows).toHaveLength(MAX_RESULT_ROWS);
    expect(failure(connection, count(MAX_RESULT_ROWS + 1))).toContain(`${MAX_RESULT_ROWS} rows`);
    const half = Math.ceil(MAX_RESULT_BYTES / 2);
    const large = `SELECT zeroblob(${half}) UNION ALL SELECT zeroblob(${half})`;
    expect(failure(connection, large)).toContain(`${MAX_RESULT_BYTES} bytes`);
  });

  test("The limits of a database undo what a statement changed whose result is too large", () => {
    using fixture = openDatabases(APP);
    const connection = connect(fixture);
    run(connection, "CREATE TABLE t (a)");
    const rows = `WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 70000)`;
    const insert = `${rows} INSERT INTO t SELECT x FROM c RETURNING a`;
    expect(failure(connection, insert)).toContain("rows");
    expect(run(connection, "SELECT count(*) FROM t").rows[0]?.values).toEqual([integer(0)]);
    const small = run(connection, "INSERT INTO t VALUES (1), (2) RETURNING a");
    expect(small.rows).toHaveLength(2);
    expect(run(connection, "SELECT count(*) FROM t").rows[0]?.values).toEqual([integer(2)]);
  });

  test("The limits of a database are the time between its first row and its last", () => {
    const system = new SystemHostClock();
    let nowNs = 0n;
    const clock: HostClock = Object.assign(Object.create(system) as HostClock, {
      monotonicNs: () => (nowNs += BigInt(STATEMENT_TIMEOUT_MS) * 400_000n),
    });
    using fixture = openDatabases(APP, { clock });
    const rows = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 9999)";
    const said = failure(connect(fixture), `${rows} SELECT x FROM c`);
    expect(said).toContain(`${STATEMENT_TIMEOUT_MS} ms`);
  });

  test("The limits of a database are its pages", () => {
    {
      using fixture = openDatabases(APP);
      run(connect(fixture), "CREATE TABLE t (a)");
    }
    // Nobody waits for a gigabyte: the file says that it has all its pages.
    const bytes = openSync(join(volume, FILE), "r+");
    const pages = Buffer.alloc(4);
    pages.writeUInt32BE(MAX_DATABASE_PAGES);
    writeSync(bytes, pages, 0, 4, PAGES_OFFSET);
    ftruncateSync(bytes, MAX_DATABASE_PAGES * 4096);
    closeSync(bytes);
    using again = openDatabases(APP);
    const full = connect(again);
    expect(failure(full, "INSERT INTO t VALUES (zeroblob(100000))")).toBe("database-full");
    expect(run(full, "SELECT count(*) FROM t").rows[0]?.values).toEqual([integer(0)]);
  });
});

describe("A locked database", () => {
  test("A locked database makes the guest wait until it is free", async () => {
    using fixture = openDatabases(APP);
    using replica = openDatabases(APP);
    const [mine, theirs] = [connect(fixture), connect(replica)];
    run(mine, "CREATE TABLE t (a)");
    run(theirs, "BEGIN IMMEDIATE");
    const waiting = mine.execute("INSERT INTO t VALUES (1)", []);
    expect(waiting).toBeInstanceOf(Promise);
    run(theirs, "COMMIT");
    expect(await waiting).toEqual({ columns: [], rows: [] });
    expect(run(theirs, "SELECT a FROM t").rows).toHaveLength(1);
  });

  test("A locked database that stays locked answers busy", async () => {
    const system = new SystemHostClock();
    let late = 0n;
    const clock: HostClock = Object.assign(Object.create(system) as HostClock, {
      monotonicNs: () => (late += BigInt(BUSY_TIMEOUT_MS) * 600_000n),
      after: (_delayMs: number, callback: () => void) => system.after(0, callback),
    });
    using fixture = openDatabases(APP, { clock });
    using replica = openDatabases(APP);
    const [mine, theirs] = [connect(fixture), connect(replica)];
    run(mine, "CREATE TABLE t (a)");
    run(theirs, "BEGIN IMMEDIATE");
    const outcome = await Promise.resolve(mine.execute("INSERT INTO t VALUES (1)", [])).catch(
      (error: unknown) => error,
    );
    expect(outcome).toMatchObject({
      payload: { tag: "io", val: expect.stringContaining("busy") },
    });
  });

  test("A locked database tells a reader of old data at once, for whom waiting is no use", () => {
    using fixture = openDatabases(APP);
    const [mine, theirs] = [connect(fixture), connect(fixture)];
    run(mine, "CREATE TABLE t (a)");
    run(mine, "BEGIN");
    run(mine, "SELECT * FROM t");
    run(theirs, "INSERT INTO t VALUES (1)");
    expect(failure(mine, "INSERT INTO t VALUES (2)")).toContain("locked");
  });
});
