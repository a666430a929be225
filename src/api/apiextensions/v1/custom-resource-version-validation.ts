import {
  type FieldError,
  type FieldPath,
  invalidField,
  JsonPath,
  JsonPathError,
  requiredField,
} from "../../../apimachinery/index.ts";
import { checkStructuralSchema } from "./structural-schema-validation.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinitionVersion,
  CustomResourceSubresourceScale,
} from "./types.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = [
  "byte",
  "date",
  "date-time",
  "double",
  "float",
  "int32",
  "int64",
  "password",
];
const MAX_SELECTABLE_FIELDS = 8;
const SCALAR_TYPES = new Set(["string", "boolean", "integer"]);

/** What one version of a definition says beyond its name. */
export function checkVersion(
  errors: FieldError[],
  path: FieldPath,
  version: CustomResourceDefinitionVersion,
): void {
  const { schema, additionalPrinterColumns = [], subresources, selectableFields = [] } = version;
  if (version.deprecationWarning !== undefined && version.deprecated !== true) {
    const detail = "can only be set for deprecated versions";
    errors.push(invalidField(path.child("deprecationWarning"), version.deprecationWarning, detail));
  }
  const at = path.child("schema", "openAPIV3Schema");
  if (schema?.openAPIV3Schema === undefined) {
    errors.push(requiredField(at, "schemas are required"));
  } else checkStructuralSchema(errors, at, schema.openAPIV3Schema);
  for (const [index, column] of additionalPrinterColumns.entries()) {
    checkColumn(errors, path.child("additionalPrinterColumns").index(index), column);
  }
  if (subresources?.scale !== undefined) {
    checkScale(errors, path.child("subresources", "scale"), subresources.scale);
  }
  checkSelectableFields(errors, path.child("selectableFields"), version, selectableFields);
}

function checkColumn(
  errors: FieldError[],
  path: FieldPath,
  column: CustomResourceColumnDefinition,
): void {
  const { name, type, format, jsonPath } = column;
  if (!name) errors.push(requiredField(path.child("name")));
  const oneOf = (values: readonly string[]): string => `must be one of ${values.join(",")}`;
  if (!type) errors.push(requiredField(path.child("type"), oneOf(COLUMN_TYPES)));
  else if (!COLUMN_TYPES.includes(type)) {
    errors.push(invalidField(path.child("type"), type, oneOf(COLUMN_TYPES)));
  }
  if (format !== undefined && format !== "" && !COLUMN_FORMATS.includes(format)) {
    errors.push(invalidField(path.child("format"), format, oneOf(COLUMN_FORMATS)));
  }
  if (!jsonPath) errors.push(requiredField(path.child("jsonPath")));
  else pathOf(errors, path.child("jsonPath"), jsonPath);
}

function checkScale(
  errors: FieldError[],
  path: FieldPath,
  scale: CustomResourceSubresourceScale,
): void {
  const under = (field: string, text: string | undefined, roots: readonly string[]): void => {
    const at = path.child(field);
    if (!text) {
      if (field !== "labelSelectorPath") errors.push(requiredField(at));
      return;
    }
    const names = pathOf(errors, at, text)?.fieldNames;
    if (names !== undefined && names.length > 1 && roots.includes(names[0] ?? "")) return;
    const where = roots.map((root) => `.${root}`).join(" or ");
    const either = roots.length > 1 ? "either " : "";
    errors.push(invalidField(at, text, `should be a json path under ${either}${where}`));
  };
  under("specReplicasPath", scale.specReplicasPath, ["spec"]);
  under("statusReplicasPath", scale.statusReplicasPath, ["status"]);
  under("labelSelectorPath", scale.labelSelectorPath, ["spec", "status"]);
}

function checkSelectableFields(
  errors: FieldError[],
  path: FieldPath,
  { schema }: CustomResourceDefinitionVersion,
  fields: readonly { readonly jsonPath: string }[],
): void {
  if (fields.length > MAX_SELECTABLE_FIELDS) {
    errors.push({
      type: "FieldValueTooMany",
      field: String(path),
      badValue: fields.length,
      detail: `must have at most ${MAX_SELECTABLE_FIELDS} items`,
    });
  }
  const seen = new Set<string>();
  for (const [index, { jsonPath }] of fields.entries()) {
    const at = path.index(index).child("jsonPath");
    if (!jsonPath) {
      errors.push(requiredField(at));
      continue;
    }
    const names = pathOf(errors, at, jsonPath)?.fieldNames ?? [];
    if (seen.has(jsonPath)) {
      errors.push({
        type: "FieldValueDuplicate",
        field: String(at),
        badValue: jsonPath,
        detail: "",
      });
    }
    seen.add(jsonPath);
    if (names[0] === "metadata") {
      errors.push(invalidField(at, jsonPath, "must not point to fields in metadata"));
    } else if (!SCALAR_TYPES.has(typeAt(schema?.openAPIV3Schema, names) ?? "")) {
      const detail =
        "is an invalid path: must point to a field of type string, boolean or integer. " +
        "Enum string fields and strings with formats are allowed.";
      errors.push(invalidField(at, jsonPath, detail));
    }
  }
}

type Props = NonNullable<NonNullable<CustomResourceDefinitionVersion["schema"]>["openAPIV3Schema"]>;

function typeAt(schema: Props | undefined, names: readonly string[]): string | undefined {
  let at: Props | undefined = schema;
  for (const name of names) {
    at = Object.hasOwn(at?.properties ?? {}, name) ? at?.properties?.[name] : undefined;
  }
  return at?.type;
}

function pathOf(errors: FieldError[], at: FieldPath, text: string): JsonPath | undefined {
  try {
    return JsonPath.parse(text);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    errors.push(invalidField(at, text, `is an invalid path: ${error.message}`));
    return undefined;
  }
}
