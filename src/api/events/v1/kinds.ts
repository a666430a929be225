import { validateNewEvent } from "../../core/v1/event-validation.ts";
import type { TableColumn } from "../../kind-logic.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { coreKinds } from "../../core/v1/kinds.ts";
import { eventColumns } from "../../core/v1/event-columns.ts";
import { coreEventFrom, eventFromCore } from "./event-conversion.ts";
import type { Event } from "./types.ts";

const columns: readonly TableColumn<Event>[] = eventColumns.map((column) => ({
  ...column,
  cell: (event: Event, now: number) => column.cell(coreEventFrom(event), now),
}));

/** The core group's names of fields that have another one here. */
const INVOLVED = "involvedObject.";

function fieldsOfCore(event: Event): Record<string, string> {
  return coreKinds.events?.selectableFields?.(coreEventFrom(event)) ?? {};
}

/** Both names select: clients of the core group are sent here with theirs. */
function inOwnWords(fields: Record<string, string>): Record<string, string> {
  const own: Record<string, string> = { ...fields };
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith(INVOLVED)) own[`regarding.${name.slice(INVOLVED.length)}`] = value;
  }
  own["reportingController"] = fields["reportingComponent"] ?? "";
  return own;
}

const events: KindLogic<Event> = {
  validate: (event) => validateNewEvent(coreEventFrom(event)),
  columns,
  selectableFields: (event) => inOwnWords(fieldsOfCore(event)),
  storage: { group: "", resource: "events" },
  toStorage: coreEventFrom,
  fromStorage: eventFromCore,
};

export const eventsKinds: KindTable = { events };
