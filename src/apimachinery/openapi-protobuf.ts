import { isJsonObject, type JsonObject } from "./json-value.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

/** The Content-Type of the answer. */
export const OPENAPI_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** What kubectl asks for at /openapi/v2; "@" makes it no media type that could be answered. */
export const OPENAPI_V2_PROTOBUF_ACCEPT =
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/**
 * The document of `buildOpenApiV2` in the form kubectl reads: message openapi.v2.Document of
 * github.com/google/gnostic. The numbers below are that schema's field numbers. What our documents
 * never hold (security, examples, headers) has no code here.
 */
export function openApiV2Protobuf(document: JsonObject): Uint8Array {
  const writer = new ProtobufWriter();
  writer.string(1, textOf(document["swagger"]));
  writer.message(2, (info) => {
    const { title, version } = objectOf(document["info"]);
    info.string(1, textOf(title));
    info.string(2, textOf(version));
  });
  writer.message(8, (paths) => {
    for (const [path, item] of entriesOf(document["paths"])) {
      named(paths, 2, path, (value) => writePathItem(value, objectOf(item)));
    }
  });
  writer.message(9, (definitions) => {
    for (const [name, schema] of entriesOf(document["definitions"])) {
      named(definitions, 1, name, (value) => writeSchema(value, objectOf(schema)));
    }
  });
  return writer.finish();
}

type Write = (writer: ProtobufWriter) => void;

/** An entry of a map: name and value, as gnostic's Named… messages have them. */
function named(writer: ProtobufWriter, field: number, name: string, write: Write): void {
  writer.message(field, (entry) => {
    entry.string(1, name);
    entry.message(2, write);
  });
}

const METHODS: readonly (readonly [method: string, field: number])[] = [
  ["get", 2],
  ["put", 3],
  ["post", 4],
  ["delete", 5],
  ["patch", 8],
];

function writePathItem(writer: ProtobufWriter, item: JsonObject): void {
  for (const [method, field] of METHODS) {
    const operation = item[method];
    if (isJsonObject(operation)) writer.message(field, (value) => writeOperation(value, operation));
  }
  writeParameters(writer, 9, item["parameters"]);
}

function writeOperation(writer: ProtobufWriter, operation: JsonObject): void {
  writer.strings(1, textsOf(operation["tags"]));
  writer.string(3, textOf(operation["description"]));
  writer.string(5, textOf(operation["operationId"]));
  writer.strings(6, textsOf(operation["produces"]));
  writer.strings(7, textsOf(operation["consumes"]));
  writeParameters(writer, 8, operation["parameters"]);
  writer.message(9, (responses) => {
    for (const [code, response] of entriesOf(operation["responses"])) {
      named(responses, 1, code, (value) => writeResponse(value, objectOf(response)));
    }
  });
  writer.strings(10, textsOf(operation["schemes"]));
  writeExtensions(writer, 13, operation);
}

function writeResponse(writer: ProtobufWriter, response: JsonObject): void {
  writer.message(1, (value) => {
    value.string(1, textOf(response["description"]));
    value.message(2, (item) =>
      item.message(1, (schema) => writeSchema(schema, objectOf(response["schema"]))),
    );
  });
}

function writeParameters(writer: ProtobufWriter, field: number, parameters: unknown): void {
  for (const parameter of Array.isArray(parameters) ? parameters : []) {
    writer.message(field, (item) =>
      item.message(1, (value) => writeParameter(value, objectOf(parameter))),
    );
  }
}

const QUERY_FIELDS = { container: 3, type: 6, uniqueItems: 20 } as const;
const PATH_FIELDS = { container: 4, type: 5, uniqueItems: 19 } as const;

function writeParameter(writer: ProtobufWriter, parameter: JsonObject): void {
  if (parameter["in"] === "body") {
    writer.message(1, (body) => {
      body.string(2, textOf(parameter["name"]));
      body.string(3, "body");
      body.bool(4, parameter["required"] === true);
      body.message(5, (schema) => writeSchema(schema, objectOf(parameter["schema"])));
    });
    return;
  }
  const fields = parameter["in"] === "path" ? PATH_FIELDS : QUERY_FIELDS;
  writer.message(2, (value) =>
    value.message(fields.container, (simple) => {
      simple.bool(1, parameter["required"] === true);
      simple.string(2, textOf(parameter["in"]));
      simple.string(3, textOf(parameter["description"]));
      simple.string(4, textOf(parameter["name"]));
      simple.string(fields.type, textOf(parameter["type"]));
      simple.bool(fields.uniqueItems, parameter["uniqueItems"] === true);
    }),
  );
}

function writeSchema(writer: ProtobufWriter, schema: JsonObject): void {
  writer.string(1, textOf(schema["$ref"]));
  writer.string(2, textOf(schema["format"]));
  writer.string(4, textOf(schema["description"]));
  if (schema["default"] !== undefined) {
    writer.message(5, (value) => writeAny(value, schema["default"]));
  }
  writer.strings(19, textsOf(schema["required"]));
  for (const value of Array.isArray(schema["enum"]) ? schema["enum"] : []) {
    writer.message(20, (any) => writeAny(any, value));
  }
  const { additionalProperties: additional, items, properties, type } = schema;
  if (isJsonObject(additional)) {
    writer.message(21, (item) => item.message(1, (value) => writeSchema(value, additional)));
  }
  if (typeof type === "string") writer.message(22, (item) => item.string(1, type));
  if (isJsonObject(items)) {
    writer.message(23, (item) => item.message(1, (value) => writeSchema(value, items)));
  }
  if (isJsonObject(properties)) {
    writer.message(25, (map) => {
      for (const [name, property] of Object.entries(properties)) {
        named(map, 1, name, (value) => writeSchema(value, objectOf(property)));
      }
    });
  }
  writeExtensions(writer, 31, schema);
}

function writeExtensions(writer: ProtobufWriter, field: number, object: JsonObject): void {
  for (const [name, value] of Object.entries(object)) {
    if (name.startsWith("x-")) named(writer, field, name, (any) => writeAny(any, value));
  }
}

/** Any value travels as YAML, of which JSON is a part. */
function writeAny(writer: ProtobufWriter, value: unknown): void {
  writer.string(2, `${JSON.stringify(value)}\n`);
}

function objectOf(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(objectOf(value));
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
