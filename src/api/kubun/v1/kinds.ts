import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed } from "../../table-columns.ts";
import type { KeyValueStore } from "./types.ts";

const KIBIBYTE = 1024;
const UNITS = ["B", "Ki", "Mi", "Gi"] as const;

const keyvaluestores: KindLogic<KeyValueStore> = {
  columns: [
    NAME_COLUMN,
    typed(
      "integer",
      column("Keys", "Number of its keys.", ({ status }) => status?.keys ?? 0),
    ),
    column("Size", "Bytes of its keys and values.", ({ status }) => sizeText(status?.bytes ?? 0)),
    AGE_COLUMN,
  ],
};

/** `17B`, `1.5Ki`, `64Mi`: at most one digit behind the point. */
function sizeText(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= KIBIBYTE && unit < UNITS.length - 1) {
    amount /= KIBIBYTE;
    unit++;
  }
  return `${Number(amount.toFixed(1))}${UNITS[unit]}`;
}

export const kubunKinds: KindTable = { keyvaluestores };
