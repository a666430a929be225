import type { SqliteConnection } from "./database.ts";
import { History } from "./history.ts";
import { StateFileError } from "./state-error.ts";
import { FEATURE_LEVEL } from "./state-machine.ts";
import type { StatePoint } from "./state-storage.ts";

/** Where an open state stands. */
export function readStatePoint(db: SqliteConnection): StatePoint {
  const history = new History(db);
  const { appliedIndex, appliedTerm, featureLevel } = history.numbers();
  return { appliedIndex, appliedTerm, featureLevel, ...history.group() };
}

/**
 * Looks at every page of a file that came from somebody else.
 * @throws StateFileError when it is damaged, or of a newer version
 */
export function checkStateFile(db: SqliteConnection): StatePoint {
  const verdict = String(db.pragma("quick_check(1)", { simple: true }));
  if (verdict !== "ok") throw new StateFileError(`state file ${db.name} is damaged: ${verdict}`);
  const point = readStatePoint(db);
  if (point.featureLevel > FEATURE_LEVEL) {
    const level = `feature level ${point.featureLevel}; this version has ${FEATURE_LEVEL}`;
    throw new StateFileError(`state file ${db.name} needs ${level}`);
  }
  return point;
}
