export {
  ApiError,
  apiErrorFrom,
  isAlreadyExists,
  isConflict,
  isExpired,
  isNamespaceTerminating,
  isNotFound,
} from "./api-error.ts";
export { Backoff } from "./backoff.ts";
export type { BackoffOptions } from "./backoff.ts";
export { createClient, isTransient } from "./client.ts";
export type {
  CallOptions,
  Client,
  ClientOptions,
  DeleteCallOptions,
  ListOptions,
  ObjectList,
  PatchOptions,
  PatchType,
  ResourceClient,
  ResourceOptions,
  SelectorOptions,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
export { createFailoverFetch } from "./failover-fetch.ts";
export type { FailoverFetchOptions } from "./failover-fetch.ts";
export { createInformer } from "./informer.ts";
export type { Informer, InformerHandler, InformerOptions } from "./informer.ts";
export { keyOf, objectKey, splitKey } from "./kube-object.ts";
export type { KubeObject } from "../apimachinery/index.ts";
export type { IndexFunction, Lister } from "./object-store.ts";
export { resourcePath } from "./resource-path.ts";
export * from "./resources.ts";
export { followServers } from "./server-list.ts";
export type { FollowServersOptions } from "./server-list.ts";
export { SharedInformers } from "./shared-informers.ts";
export type { SharedInformersOptions } from "./shared-informers.ts";
export { decodeLines, MAX_WATCH_LINE_LENGTH } from "./watch-decoder.ts";
export type { WatchEvent } from "./watch-decoder.ts";
export { createEventRecorder } from "./event-recorder.ts";
export type { EventRecorder, EventRecorderOptions, EventType } from "./event-recorder.ts";
export { MAX_QUEUED_KEYS, runWorkers, WorkQueue } from "./work-queue.ts";
export type { ReconcileResult, WorkersOptions, WorkQueueOptions } from "./work-queue.ts";
export { discoverResources } from "./discovery.ts";
export type { DiscoveredResource, Discovery } from "./discovery.ts";
