import {
  alreadyExists,
  conflict,
  expired,
  type GroupResource,
  internalError,
  notFound,
  requestEntityTooLarge,
  serviceUnavailable,
  type StatusError,
  timeout,
  tooManyRequests,
} from "../apimachinery/index.ts";
import { unreachable } from "../lib/index.ts";
import { StoreError } from "../store/index.ts";
import { notLeading } from "./leading.ts";

const RETRY_AFTER_SECONDS = 1;

/** The one place where refusals of the store become answers of the API; other errors pass. */
export function refusalOf(error: unknown, resource: GroupResource, name: string): unknown {
  return error instanceof StoreError ? answerTo(error, resource, name) : error;
}

function answerTo(error: StoreError, resource: GroupResource, name: string): StatusError {
  switch (error.code) {
    case "key-exists":
      return alreadyExists(resource, name);
    case "key-missing":
      return notFound(resource, name);
    case "revision-mismatch":
      return conflict(resource, name);
    case "compacted":
      return expired("The resourceVersion for the provided list is too old.");
    case "slow-watcher":
      return expired("the watch did not keep up with the changes; list again");
    case "too-large":
      return requestEntityTooLarge(error.message);
    case "overloaded":
      return tooManyRequests(
        "the store is overloaded, please try again later",
        RETRY_AFTER_SECONDS,
      );
    case "not-leader":
      return notLeading();
    case "read-only":
    case "closed":
      return serviceUnavailable(`the store takes no writes: ${error.message}`);
    case "unavailable":
      return timeout(`whether this was written is unknown: ${error.message}`);
    case "future-revision":
    case "lease-missing":
      return internalError(error);
    default:
      return unreachable(error.code);
  }
}
