export type * from "./apps/v1/types.ts";
export type * from "./batch/v1/types.ts";
export type * from "./certificates/v1/types.ts";
export type * from "./coordination/v1/types.ts";
export type * from "./core/v1/types.ts";
export type {
  Endpoint,
  EndpointConditions,
  EndpointHints,
  EndpointPort as EndpointSlicePort,
  EndpointSlice,
  EndpointSliceList,
} from "./discovery/v1/types.ts";
export type * from "./kubun/v1/types.ts";
export type * from "./meta/v1/types.ts";
export type * from "./metrics/v1beta1/types.ts";
export type * from "./networking/v1/types.ts";
export type * from "./node/v1/types.ts";
export type * from "./policy/v1/types.ts";
export type * from "./rbac/v1/types.ts";
export type * from "./scheduling/v1/types.ts";
export type * from "./storage/v1/types.ts";
export type * as admissionregistrationV1 from "./admissionregistration/v1/types.ts";
export type * as apiextensionsV1 from "./apiextensions/v1/types.ts";
export type * as authenticationV1 from "./authentication/v1/types.ts";
export type * as authorizationV1 from "./authorization/v1/types.ts";
export type * as autoscalingV1 from "./autoscaling/v1/types.ts";
export type * as autoscalingV2 from "./autoscaling/v2/types.ts";
export type * as eventsV1 from "./events/v1/types.ts";
export type { ApiResource } from "./api-resource.ts";
export * from "./api-resources.ts";
export { describe } from "./describe.ts";
export { groupVersions, typeTable } from "./group-versions.ts";
export { isEstablished } from "./apiextensions/v1/custom-resource-definition-validation.ts";
export { validateObjectMeta, validateObjectMetaUpdate } from "./meta/v1/object-meta.ts";
export type {
  Cell,
  Column,
  CustomTraits,
  ResourceDefinition,
  ScaleMapping,
  Subresource,
} from "./resource-definition.ts";
export { warningsOf } from "./object-warnings.ts";
export { findKind, findResource, resourceDefinitions, schemaOf } from "./resource-definitions.ts";
export { imageTag, pullPolicyFor } from "./core/v1/image-tag.ts";
export { CronScheduleError, parseCronSchedule } from "./batch/v1/cron-schedule.ts";
export type { CronSchedule } from "./batch/v1/cron-schedule.ts";
export {
  HIGHEST_USER_PRIORITY,
  SYSTEM_PRIORITIES,
} from "./scheduling/v1/priority-class-validation.ts";
export { countsInQuota, quotaKindOf, quotaUsage } from "./quota/quota-usage.ts";
export { quotaNamesFor } from "./quota/quota-scope.ts";
export { isBestEffort, podAmounts } from "./quota/pod-amounts.ts";
export {
  addAmounts,
  amountsFrom,
  amountsList,
  readQuantity,
  subtractAmounts,
} from "./quota/resource-amounts.ts";
export type { ResourceAmounts } from "./quota/resource-amounts.ts";
