import { type FieldError, FieldPath, invalidField } from "../../../apimachinery/index.ts";

export const LEVELS = ["privileged", "baseline", "restricted"] as const;
export type SecurityLevel = (typeof LEVELS)[number];

/** A level as of a version of Kubernetes: "restricted:latest", "baseline:v1.30". */
export interface LevelVersion {
  readonly level: SecurityLevel;
  readonly version: string;
}

export const MODES = ["enforce", "audit", "warn"] as const;
export type SecurityMode = (typeof MODES)[number];
export type SecurityPolicy = Readonly<Record<SecurityMode, LevelVersion>>;

const PREFIX = "pod-security.kubernetes.io";
const VERSION = /^(latest|v1\.(0|[1-9][0-9]*))$/;
const LABELS = FieldPath.root("metadata").child("labels");

type Labels = Readonly<Record<string, string>> | undefined;

/**
 * What a namespace asks of its pods. Levels that nobody can read count as the strictest where they
 * refuse, and as none where they only tell. Who enforces a level is also told about it early, in
 * workloads, unless the namespace says otherwise.
 */
export function securityPolicy(labels: Labels): SecurityPolicy {
  const enforce = levelOf(labels, "enforce", "restricted") ?? PRIVILEGED;
  const audit = levelOf(labels, "audit", "privileged") ?? enforce;
  const warn = levelOf(labels, "warn", "privileged") ?? enforce;
  return { enforce, audit, warn };
}

const PRIVILEGED: LevelVersion = { level: "privileged", version: "latest" };

/** Undefined when the labels say no level. */
function levelOf(
  labels: Labels,
  mode: SecurityMode,
  unreadable: SecurityLevel,
): LevelVersion | undefined {
  const text = labels?.[`${PREFIX}/${mode}`];
  if (text === undefined) return undefined;
  const version = labels?.[`${PREFIX}/${mode}-version`] ?? "latest";
  const level = LEVELS.find((known) => known === text) ?? unreadable;
  return { level, version: VERSION.test(version) ? version : "latest" };
}

/** What is wrong with the labels of a namespace. */
export function securityLabelErrors(labels: Labels): FieldError[] {
  const errors: FieldError[] = [];
  for (const mode of MODES) {
    const [level, version] = [`${PREFIX}/${mode}`, `${PREFIX}/${mode}-version`];
    const levelText = labels?.[level];
    if (levelText !== undefined && !(LEVELS as readonly string[]).includes(levelText)) {
      const detail = `must be one of ${LEVELS.join(", ")}`;
      errors.push(invalidField(LABELS.key(level), levelText, detail));
    }
    const versionText = labels?.[version];
    if (versionText !== undefined && !VERSION.test(versionText)) {
      errors.push(invalidField(LABELS.key(version), versionText, 'must be "latest" or "v1.x"'));
    }
  }
  return errors;
}

export function levelText({ level, version }: LevelVersion): string {
  return `${level}:${version}`;
}

/** Greater for the stricter one. */
export function compareLevels(left: SecurityLevel, right: SecurityLevel): number {
  return LEVELS.indexOf(left) - LEVELS.indexOf(right);
}
