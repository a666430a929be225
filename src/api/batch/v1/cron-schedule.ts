/** One field of a schedule: the values it may have, and names for them. */
interface CronField {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: readonly CronField[] = [
  { name: "minute", min: 0, max: 59, names: [] },
  { name: "hour", min: 0, max: 23, names: [] },
  { name: "day of month", min: 1, max: 31, names: [] },
  { name: "month", min: 1, max: 12, names: MONTHS },
  { name: "day of week", min: 0, max: 6, names: DAYS },
];

const NICKNAMES: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** When a schedule fires: the values each field allows. */
export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** With both days given, either will do; a day left open does not count. */
  readonly anyDayOfMonth: boolean;
  readonly anyDayOfWeek: boolean;
}

/** Thrown on a text that is no schedule; the message says what was given and what is allowed. */
export class CronScheduleError extends Error {
  override readonly name = "CronScheduleError";
}

/** Five fields as in crontab(5), or a nickname like "@daily". Throws {@link CronScheduleError}. */
export function parseCronSchedule(text: string): CronSchedule {
  const spelled = text.startsWith("@") ? NICKNAMES[text] : text;
  if (spelled === undefined) throw new CronScheduleError(`unrecognized descriptor: ${text}`);
  const parts = spelled.trim().split(/\s+/);
  if (parts.length !== FIELDS.length || spelled.trim() === "") {
    const found = spelled.trim() === "" ? 0 : parts.length;
    throw new CronScheduleError(`expected exactly 5 fields, found ${found}: ${text}`);
  }
  const sets = FIELDS.map((field, index) => parseField(field, parts[index] ?? ""));
  const none: ReadonlySet<number> = new Set();
  return {
    minutes: sets[0] ?? none,
    hours: sets[1] ?? none,
    daysOfMonth: sets[2] ?? none,
    months: sets[3] ?? none,
    daysOfWeek: sets[4] ?? none,
    anyDayOfMonth: /^[*?]/.test(parts[2] ?? ""),
    anyDayOfWeek: /^[*?]/.test(parts[4] ?? ""),
  };
}

function parseField(field: CronField, text: string): ReadonlySet<number> {
  const values = new Set<number>();
  for (const term of text.split(",")) addTerm(field, term, values);
  return values;
}

// "*", "5", "1-5", "10-50/10", "*/15" or "5/15".
function addTerm(field: CronField, term: string, values: Set<number>): void {
  const [range = "", step, ...rest] = term.split("/");
  if (rest.length > 0) throw new CronScheduleError(`too many slashes in ${field.name}: ${term}`);
  const stride = step === undefined ? 1 : Number(step);
  if (!Number.isInteger(stride) || stride < 1) {
    throw new CronScheduleError(`step of ${field.name} should be a positive number: ${term}`);
  }
  let [low, high] = [field.min, field.max];
  if (range !== "*" && range !== "?") {
    const [from = "", to, ...more] = range.split("-");
    if (more.length > 0) throw new CronScheduleError(`too many hyphens in ${field.name}: ${term}`);
    low = parseValue(field, from);
    // "5/15" means from 5 on; "5" means 5.
    high = to === undefined ? (step === undefined ? low : field.max) : parseValue(field, to);
  }
  if (low > high) {
    throw new CronScheduleError(`range of ${field.name} ends before it begins: ${term}`);
  }
  for (let value = low; value <= high; value += stride) values.add(value);
}

function parseValue(field: CronField, text: string): number {
  const named = field.names.indexOf(text.toLowerCase());
  if (named >= 0) return named + field.min;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) {
    throw new CronScheduleError(`failed to parse ${field.name} "${text}" as a number`);
  }
  if (value < field.min || value > field.max) {
    const limits = `${field.min} to ${field.max}`;
    throw new CronScheduleError(`${field.name} is ${value}, allowed is ${limits}`);
  }
  return value;
}
