import type { InstanceScope } from "../io/instance-scope.ts";
import { Resource } from "../io/resource.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { DatabasePool } from "./database-pool.ts";
import { type QueryResult, runStatement, type SqliteValue } from "./run-statement.ts";
import { ioError, isBusy, sqliteError } from "./sqlite-error.ts";

/** How long a guest waits for a database that another one writes to. */
export const BUSY_TIMEOUT_MS = 5000;
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 50;

/** The resource `connection` of fermyon:spin/sqlite. */
export class Connection extends Resource {
  readonly #pool: DatabasePool;
  readonly #name: string;
  readonly #file: DatabaseFile;

  private constructor(scope: InstanceScope, pool: DatabasePool, name: string, file: DatabaseFile) {
    super(scope);
    this.#pool = pool;
    this.#name = name;
    this.#file = file;
  }

  /** Waits, if it must, for a database that somebody else has locked. */
  static open(
    scope: InstanceScope,
    pool: DatabasePool,
    name: string,
  ): Connection | Promise<Connection> {
    return patiently(scope, () => {
      const file = pool.take(name);
      try {
        return new Connection(scope, pool, name, file);
      } catch (error) {
        pool.give(name, file);
        throw error;
      }
    });
  }

  execute(
    statement: string,
    parameters: readonly SqliteValue[],
  ): QueryResult | Promise<QueryResult> {
    const run = () => runStatement(this.#file, this.scope.clock, statement, parameters);
    return patiently(this.scope, run);
  }

  protected override released(): void {
    this.#pool.give(this.#name, this.#file);
  }
}

/**
 * Tries again while the database is locked. The event loop runs meanwhile: who holds the lock may
 * be another instance of the same worker.
 */
function patiently<Result>(scope: InstanceScope, attempt: () => Result): Result | Promise<Result> {
  try {
    return attempt();
  } catch (error) {
    if (isBusy(error)) return retried(scope, attempt);
    throw sqliteError(error);
  }
}

async function retried<Result>(scope: InstanceScope, attempt: () => Result): Promise<Result> {
  const deadlineNs = scope.clock.monotonicNs() + BigInt(BUSY_TIMEOUT_MS) * 1_000_000n;
  for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(2 * delayMs, LAST_RETRY_MS)) {
    await scope.wait((done) => scope.clock.after(delayMs, done));
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw sqliteError(error);
      if (scope.clock.monotonicNs() < deadlineNs) continue;
      throw ioError(`the database is busy: locked by another for ${BUSY_TIMEOUT_MS} ms`);
    }
  }
}
