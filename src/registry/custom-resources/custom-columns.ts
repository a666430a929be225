import type { apiextensionsV1, Cell, Column } from "../../api/index.ts";
import { humanDuration, JsonPath, parseRfc3339 } from "../../apimachinery/index.ts";

interface CustomColumn extends Column {
  readonly path: JsonPath;
}

const NAME: CustomColumn = {
  name: "Name",
  type: "string",
  format: "name",
  description: "What the object is called.",
  priority: 0,
  path: JsonPath.parse(".metadata.name"),
};

const AGE: CustomColumn = {
  name: "Age",
  type: "date",
  format: "",
  description: "How long ago the object was created.",
  priority: 0,
  path: JsonPath.parse(".metadata.creationTimestamp"),
};

/** The name, and what the version shows; its age where it says nothing. */
export function columnsOf(
  version: apiextensionsV1.CustomResourceDefinitionVersion,
): readonly CustomColumn[] {
  const columns = version.additionalPrinterColumns ?? [];
  if (columns.length === 0) return [NAME, AGE];
  return [
    NAME,
    ...columns.map(({ name, type, format, description, priority, jsonPath }) => ({
      name,
      type: type as Column["type"],
      format: format ?? "",
      description:
        description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
      priority: priority ?? 0,
      path: JsonPath.parse(jsonPath),
    })),
  ];
}

/** What stands in a cell for the first value found; null, which is printed as nothing, for none. */
export function cellOf(type: Column["type"], found: readonly unknown[], now: number): Cell {
  const [value] = found;
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string" ? value : JSON.stringify(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date": {
      const moment = typeof value === "string" ? parseRfc3339(value) : Number.NaN;
      return Number.isNaN(moment) ? "<invalid>" : humanDuration(now - moment);
    }
  }
}
