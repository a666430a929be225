import type { InstanceContext, Interfaces } from "../instance-context.ts";
import { classWithStatics } from "../io/resource.ts";
import { Connection } from "./connection.ts";
import type { SqliteValue } from "./run-statement.ts";
import { SqliteError } from "./sqlite-error.ts";

/** Of the interface without version: its connections are numbers. */
type ConnectionNumber = number;

/**
 * Spin's `sqlite`, of version 2.0.0 with its resource, and of none with functions on numbers. Both
 * have the same name without version, and none of their members in common.
 */
export function sqliteInterfaces({ scope, shared }: InstanceContext): Interfaces {
  const { databases } = shared;
  const numbered = new Map<ConnectionNumber, Connection>();
  let last = 0;
  const connection = (number: ConnectionNumber): Connection => {
    const found = numbered.get(number);
    if (found === undefined) throw new SqliteError({ tag: "invalid-connection" });
    return found;
  };
  const enroll = (opened: Connection): ConnectionNumber => {
    last++;
    numbered.set(last, opened);
    return last;
  };
  const openScoped = (name: string) => Connection.open(scope, databases, name);
  return {
    "fermyon:spin/sqlite": {
      Connection: classWithStatics(Connection, { open: openScoped }),
      open: (name: string) => {
        const opened = openScoped(name);
        return opened instanceof Promise ? opened.then(enroll) : enroll(opened);
      },
      execute: (number: ConnectionNumber, sql: string, parameters: readonly SqliteValue[]) =>
        connection(number).execute(sql, parameters),
      close: (number: ConnectionNumber) => {
        numbered.get(number)?.[Symbol.dispose]();
        numbered.delete(number);
      },
    },
  };
}
