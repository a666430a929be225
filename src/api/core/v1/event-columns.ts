import type { TableColumn } from "../../kind-logic.ts";
import { ageText, column, NAME_COLUMN, wide } from "../../table-columns.ts";
import type { Event } from "./types.ts";

export const eventColumns: readonly TableColumn<Event>[] = [
  column("Last Seen", "How long ago it happened last.", (event, now) =>
    ageText(event.series?.lastObservedTime ?? event.lastTimestamp ?? firstSeen(event), now),
  ),
  column("Type", "Normal or Warning.", (event) => event.type ?? ""),
  column("Reason", "What happened, in one word.", (event) => event.reason ?? ""),
  column("Object", "What it happened to.", objectText),
  wide(
    column(
      "Subobject",
      "Which part of the object it is about.",
      (event) => event.involvedObject?.fieldPath ?? "",
    ),
  ),
  wide(column("Source", "Who reports it.", sourceText)),
  column("Message", "What happened, for people.", (event) => (event.message ?? "").trim()),
  wide(
    column("First Seen", "How long ago it happened first.", (event, now) =>
      ageText(firstSeen(event), now),
    ),
  ),
  wide(
    column("Count", "How often it happened.", (event) => event.series?.count ?? (event.count || 1)),
  ),
  // The name says little here, so kubectl shows it only when asked for everything.
  { ...NAME_COLUMN, format: "", priority: 1 },
];

function firstSeen(event: Event): string | undefined {
  return event.firstTimestamp ?? event.eventTime;
}

function objectText(event: Event): string {
  const { kind = "", name = "" } = event.involvedObject ?? {};
  return name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`;
}

function sourceText(event: Event): string {
  const component = event.source?.component || event.reportingComponent || "";
  const host = event.source?.host || event.reportingInstance || "";
  return host === "" ? component : `${component}, ${host}`;
}
