export { CelBudgetError, CelError } from "./cel/cel-error.ts";
export { CelBudget, CelCompiler } from "./cel/cel-expression.ts";
export type { CelExpression, CelVariables } from "./cel/cel-expression.ts";
export { celValue } from "./cel/cel-values.ts";
export { SchemaValidations } from "./cel/schema-validations.ts";
export { checkSchema } from "./check-schema.ts";
export { compileTypes } from "./compile-types.ts";
export type { FieldNotation, FieldOptions, TypeNotation, TypeTable } from "./compile-types.ts";
export { DecodeError } from "./decode-error.ts";
export { decodeInto, prune } from "./decode.ts";
export {
  duplicateField,
  fieldErrorBody,
  fieldErrorText,
  forbiddenField,
  IMMUTABLE_DETAIL,
  immutableField,
  invalidField,
  notFoundField,
  notSupportedField,
  requiredField,
  tooLongField,
  tooManyField,
  typeInvalidField,
} from "./field-error.ts";
export type { FieldError, FieldErrorType } from "./field-error.ts";
export { FieldPath } from "./field-path.ts";
export { exactFieldValue, matchesFields, parseFieldSelector } from "./field-selector.ts";
export type { FieldRequirement, FieldSelector } from "./field-selector.ts";
export { goQuote } from "./go-text.ts";
export {
  apiVersionOf,
  groupKindText,
  groupResourceText,
  groupVersionKindOf,
  parseApiVersion,
} from "./group-version.ts";
export type { GroupKind, GroupResource, GroupVersion, GroupVersionKind } from "./group-version.ts";
export { ipAddressText, ipRangeContains, parseCidr, parseIpAddress } from "./ip-address.ts";
export type { IpAddress, IpRange } from "./ip-address.ts";
export { jsonDecode, JsonError, MAX_JSON_BYTES, MAX_JSON_DEPTH } from "./json-decode.ts";
export type { DecodedJson, JsonDecodeOptions } from "./json-decode.ts";
export { JsonPath, JsonPathError, MAX_JSON_PATH_LENGTH } from "./json-path.ts";
export { applyJsonPatch } from "./json-patch.ts";
export { cloneJson, getField, isJsonObject, jsonEquals, setField } from "./json-value.ts";
export type { JsonObject } from "./json-value.ts";
export {
  labelSelectorFrom,
  labelSelectorOfSet,
  labelSelectorText,
  matchesLabels,
  parseLabelSelector,
} from "./label-selector.ts";
export type { LabelOperator, LabelRequirement, Labels, LabelSelector } from "./label-selector.ts";
export {
  applyConfiguration,
  ApplyConflictError,
  conflictsWithout,
  unchangedSince,
} from "./managed-fields/apply-configuration.ts";
export type { ApplyRequest, ApplyResult } from "./managed-fields/apply-configuration.ts";
export { ConfigurationError } from "./managed-fields/applied-fields.ts";
export {
  checkFieldManager,
  checkManagedFields,
  managerOfUserAgent,
} from "./managed-fields/check-managed-fields.ts";
export { applyConflictError } from "./managed-fields/conflict-text.ts";
export type { FieldWriter } from "./managed-fields/managed-entries.ts";
export { trackCreate, trackUpdate } from "./managed-fields/track-update.ts";
export { applyMergePatch } from "./merge-patch.ts";
export type {
  KubeObject,
  ListMeta,
  ManagedFieldsEntry,
  MetaLabelSelector,
  MetaLabelSelectorRequirement,
  ObjectMeta,
  OwnerReference,
  Status,
  StatusCause,
  StatusDetails,
} from "./meta.ts";
export {
  maskTrailingDash,
  MAX_LABEL_BYTES,
  MAX_SUBDOMAIN_BYTES,
  validateCidr,
  validateConfigMapKey,
  validateDns1035Label,
  validateDns1123Label,
  validateDns1123Subdomain,
  validateEnvVarName,
  validateHttpHeaderName,
  validateIpAddress,
  validateLabelValue,
  validateLocalDescendingPath,
  validatePathSegmentName,
  validatePercent,
  validatePortName,
  validatePortNumber,
  validateQualifiedName,
  validateWildcardDns1123Subdomain,
} from "./names.ts";
export {
  OPENAPI_V2_PROTOBUF,
  OPENAPI_V2_PROTOBUF_ACCEPT,
  openApiV2Protobuf,
} from "./openapi-protobuf.ts";
export { openApiName, typeNameOfKind } from "./openapi-source.ts";
export type { OpenApiResource, OpenApiSource, OpenApiSubresource } from "./openapi-source.ts";
export { buildOpenApiV2, buildOpenApiV3 } from "./openapi.ts";
export { canonicalQuantity, parseQuantity, Quantity, QuantityError } from "./quantity.ts";
export type { QuantityFormat } from "./quantity.ts";
export { applySchemaDefaults } from "./schema-defaults.ts";
export { OpenApiSchemaError, schemaFromOpenApi } from "./schema-from-openapi.ts";
export type { SchemaFromOpenApiOptions } from "./schema-from-openapi.ts";
export { ANY_SCHEMA } from "./schema.ts";
export type {
  AnySchema,
  FieldSchema,
  IntOrStringSchema,
  ListSchema,
  ListType,
  MapSchema,
  MapType,
  ObjectSchema,
  PatchStrategy,
  ScalarKind,
  ScalarSchema,
  Schema,
  SchemaExtras,
  ValueRules,
} from "./schema.ts";
export {
  alreadyExists,
  applyConflict,
  badRequest,
  conflict,
  expired,
  forbidden,
  generateNameConflict,
  gone,
  internalError,
  invalid,
  isStatusError,
  MODIFIED_MESSAGE,
  notAcceptable,
  notFound,
  requestEntityTooLarge,
  serverTimeout,
  serviceUnavailable,
  StatusError,
  successStatus,
  timeout,
  tooManyRequests,
  unauthorized,
  unprocessable,
  unsupportedMediaType,
} from "./status-error.ts";
export type { StatusReason } from "./status-error.ts";
export { applyStrategicMergePatch } from "./strategic-merge-patch.ts";
export {
  humanDuration,
  parseGoDuration,
  parseRfc3339,
  rfc3339,
  rfc3339Micro,
  rfc3339Nano,
} from "./time.ts";
