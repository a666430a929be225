import {
  badRequest,
  forbiddenField,
  type FieldError,
  invalid,
  notSupportedField,
  type StatusError,
  timeout,
} from "../apimachinery/index.ts";
import type { Revision } from "../store/index.ts";
import type { ListRequest } from "./list-page.ts";
import type { WatchRequest } from "./watch-objects.ts";

const RETRY_AFTER_SECONDS = 1;
const LIST_OPTIONS = { group: "meta.k8s.io", kind: "ListOptions" };
const MATCH = "resourceVersionMatch";

/** Undefined for an absent one; throws 400 for what no server gave out. */
export function parseResourceVersion(text: string | undefined): Revision | undefined {
  if (text === undefined || text === "") return undefined;
  const revision = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(revision)) {
    const why = `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: ${why}`);
  }
  return revision as Revision;
}

/** The answer to a resourceVersion that this server has not reached. */
export function tooLargeResourceVersion(asked: Revision, current: Revision): StatusError {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  const error = timeout(message, RETRY_AFTER_SECONDS);
  error.status.details = {
    ...error.status.details,
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
  };
  return error;
}

/** Throws 422 for options of a list that do not fit together. */
export function assertListOptions(request: ListRequest): void {
  const match = request.resourceVersionMatch ?? "";
  const version = request.resourceVersion ?? "";
  const errors: FieldError[] = [];
  if (match !== "") {
    if (version === "") {
      const why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
      errors.push(forbiddenField(MATCH, why));
    }
    if ((request.continue ?? "") !== "") {
      errors.push(
        forbiddenField(MATCH, "resourceVersionMatch is forbidden when continue is provided"),
      );
    }
    if (match !== "Exact" && match !== "NotOlderThan") {
      errors.push(notSupportedField(MATCH, match, ["Exact", "NotOlderThan", ""]));
    }
    if (match === "Exact" && version === "0") {
      const why = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"';
      errors.push(forbiddenField(MATCH, why));
    }
  }
  if (errors.length > 0) throw invalid(LIST_OPTIONS, "", errors);
}

/** Throws 422 for options of a watch that do not fit together. */
export function assertWatchOptions(request: WatchRequest): void {
  const match = request.resourceVersionMatch ?? "";
  const errors: FieldError[] = [];
  if (request.sendInitialEvents === undefined && match !== "") {
    const why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
    errors.push(forbiddenField(MATCH, why));
  }
  if (request.sendInitialEvents !== undefined && match !== "NotOlderThan") {
    const why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    errors.push(forbiddenField(MATCH, why));
  }
  if (errors.length > 0) throw invalid(LIST_OPTIONS, "", errors);
}
