import { describe, expect, test } from "bun:test";
import { invalidField, requiredField } from "./field-error.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  generateNameConflict,
  internalError,
  invalid,
  isStatusError,
  notFound,
  requestEntityTooLarge,
  serverTimeout,
  successStatus,
  timeout,
  tooManyRequests,
  unauthorized,
} from "./status-error.ts";

const PODS = { group: "", resource: "pods" };
const DEPLOYMENTS = { group: "apps", resource: "deployments" };

describe("StatusError", () => {
  test("notFound: is the Status of a missing object", () => {
    expect(notFound(DEPLOYMENTS, "x").status).toEqual({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'deployments.apps "x" not found',
      reason: "NotFound",
      details: { name: "x", group: "apps", kind: "deployments" },
      code: 404,
    });
  });

  test("alreadyExists, conflict: leave the empty group out of the details", () => {
    expect(alreadyExists(PODS, "x").status).toMatchObject({
      message: 'pods "x" already exists',
      reason: "AlreadyExists",
      code: 409,
    });
    expect(alreadyExists(PODS, "x").status.details).toEqual({ name: "x", kind: "pods" });
    expect(conflict(PODS, "x").message).toBe(
      'Operation cannot be fulfilled on pods "x": the object has been modified; ' +
        "please apply your changes to the latest version and try again",
    );
  });

  test("invalid: names one error plainly and several in brackets", () => {
    const kind = { group: "apps", kind: "Deployment" };
    const one = invalid(kind, "x", [requiredField("spec.selector")]);
    expect(one.code).toBe(422);
    expect(one.message).toBe('Deployment.apps "x" is invalid: spec.selector: Required value');
    expect(one.status.details).toEqual({
      name: "x",
      group: "apps",
      kind: "Deployment",
      causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.selector" }],
    });
    const two = invalid(kind, "x", [
      requiredField("spec.selector"),
      invalidField("spec.replicas", -1, "must be greater than or equal to 0"),
    ]);
    expect(two.message).toBe(
      'Deployment.apps "x" is invalid: [spec.selector: Required value, ' +
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0]",
    );
  });

  test("invalid: says a repeated error once in the message, and each time in the causes", () => {
    const error = invalid({ group: "", kind: "Pod" }, "x", [
      requiredField("a"),
      requiredField("a"),
    ]);
    expect(error.message).toBe('Pod "x" is invalid: a: Required value');
    expect(error.status.details?.causes).toHaveLength(2);
  });

  test("forbidden: has a form for an object, a resource and a path", () => {
    expect(forbidden(PODS, "x", "no").message).toBe('pods "x" is forbidden: no');
    expect(forbidden(PODS, "", "no").message).toBe("pods is forbidden: no");
    expect(forbidden({ group: "", resource: "" }, "", "no").message).toBe("forbidden: no");
  });

  test("StatusError: other constructors have Kubernetes' code, reason and words", () => {
    expect(unauthorized().status).toMatchObject({ code: 401, message: "Unauthorized" });
    expect(badRequest("m").status).toMatchObject({ code: 400, reason: "BadRequest" });
    expect(requestEntityTooLarge("limit is 3").message).toBe(
      "Request entity is too large: limit is 3",
    );
    expect(tooManyRequests("slow down", 2).status.details).toEqual({ retryAfterSeconds: 2 });
    expect(serverTimeout(PODS, "list", 1).message).toBe(
      "The list operation against pods could not be completed at this time, please try again.",
    );
    expect(timeout("late").message).toBe("Timeout: late");
    expect(internalError(new Error("boom")).status).toMatchObject({
      code: 500,
      message: "Internal error occurred: boom",
    });
    expect(generateNameConflict(PODS, "a-1").message).toBe(
      'pods "a-1" already exists, ' +
        "the server was not able to generate a unique name for the object",
    );
  });

  test("isStatusError: tells errors apart by reason", () => {
    expect(isStatusError(notFound(PODS, "x"), "NotFound")).toBe(true);
    expect(isStatusError(notFound(PODS, "x"), "Conflict")).toBe(false);
    expect(isStatusError(new Error("x"))).toBe(false);
  });

  test("successStatus: carries the details of what was done", () => {
    expect(successStatus({ name: "x" })).toMatchObject({
      status: "Success",
      details: { name: "x" },
    });
  });
});
