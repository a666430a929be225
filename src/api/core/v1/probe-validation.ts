import {
  type FieldError,
  type FieldPath,
  forbiddenField,
  invalidField,
  requiredField,
  validateHttpHeaderName,
} from "../../../apimachinery/index.ts";
import {
  checkNonNegative,
  checkOneOf,
  checkPortNumberOrName,
  checkPresent,
  reject,
} from "../../field-checks.ts";
import type { Container, HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from "./types.ts";

type Handler = LifecycleHandler & Pick<Probe, "grpc">;

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;
const SCHEMES = ["HTTP", "HTTPS"];
const TIMINGS = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

export function checkProbes(errors: FieldError[], at: FieldPath, container: Container): void {
  const { livenessProbe, readinessProbe, startupProbe } = container;
  checkProbe(errors, at.child("livenessProbe"), livenessProbe);
  checkOneSuccess(errors, at.child("livenessProbe"), livenessProbe);
  checkProbe(errors, at.child("readinessProbe"), readinessProbe);
  if (readinessProbe?.terminationGracePeriodSeconds !== undefined) {
    const path = at.child("readinessProbe", "terminationGracePeriodSeconds");
    const detail = "must not be set for readinessProbes";
    errors.push(invalidField(path, readinessProbe.terminationGracePeriodSeconds, detail));
  }
  checkProbe(errors, at.child("startupProbe"), startupProbe);
  checkOneSuccess(errors, at.child("startupProbe"), startupProbe);
}

export function checkLifecycle(
  errors: FieldError[],
  path: FieldPath,
  lifecycle: Lifecycle | undefined,
): void {
  if (lifecycle?.postStart !== undefined) {
    checkHandler(errors, path.child("postStart"), lifecycle.postStart);
  }
  if (lifecycle?.preStop !== undefined) {
    checkHandler(errors, path.child("preStop"), lifecycle.preStop);
  }
}

function checkProbe(errors: FieldError[], path: FieldPath, probe: Probe | undefined): void {
  if (probe === undefined) return;
  checkHandler(errors, path, probe);
  for (const field of TIMINGS) checkNonNegative(errors, path.child(field), probe[field]);
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    const at = path.child("terminationGracePeriodSeconds");
    errors.push(invalidField(at, grace, "must be greater than 0"));
  }
}

/** Liveness and startup are lost at the first failure that counts, so one success must do. */
function checkOneSuccess(errors: FieldError[], path: FieldPath, probe: Probe | undefined): void {
  if (probe !== undefined && probe.successThreshold !== 1) {
    errors.push(invalidField(path.child("successThreshold"), probe.successThreshold, "must be 1"));
  }
}

function checkHandler(errors: FieldError[], path: FieldPath, handler: Handler): void {
  const set = HANDLERS.filter((field) => handler[field] !== undefined);
  if (set.length === 0) errors.push(requiredField(path, "must specify a handler type"));
  for (const field of set.slice(1)) {
    errors.push(forbiddenField(path.child(field), "may not specify more than 1 handler type"));
  }
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  if (exec !== undefined && (exec.command?.length ?? 0) === 0) {
    errors.push(requiredField(path.child("exec", "command")));
  }
  if (httpGet !== undefined) checkHttpGet(errors, path.child("httpGet"), httpGet);
  if (tcpSocket !== undefined) {
    checkPortNumberOrName(errors, path.child("tcpSocket", "port"), tcpSocket.port);
  }
  if (grpc !== undefined) checkPortNumberOrName(errors, path.child("grpc", "port"), grpc.port);
  if (sleep !== undefined) checkNonNegative(errors, path.child("sleep", "seconds"), sleep.seconds);
}

function checkHttpGet(errors: FieldError[], path: FieldPath, action: HTTPGetAction): void {
  checkPresent(errors, path.child("path"), action.path);
  checkPortNumberOrName(errors, path.child("port"), action.port);
  checkOneOf(errors, path.child("scheme"), action.scheme, SCHEMES);
  for (const { name } of action.httpHeaders ?? []) {
    reject(errors, path.child("httpHeaders"), name, validateHttpHeaderName(name ?? ""));
  }
}
