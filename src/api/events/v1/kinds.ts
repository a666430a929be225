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

const events: KindLogic<Event> = {
  validate: (event) => validateNewEvent(coreEventFrom(event)),
  columns,
  selectableFields: (event) => coreKinds.events?.selectableFields?.(coreEventFrom(event)) ?? {},
  storage: { group: "", resource: "events" },
  toStorage: coreEventFrom,
  fromStorage: eventFromCore,
};

export const eventsKinds: KindTable = { events };
