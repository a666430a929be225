import { type Binding, findResource, type Pod } from "../../api/index.ts";
import {
  badRequest,
  conflict,
  type FieldError,
  invalid,
  notSupportedField,
  requiredField,
  rfc3339,
  successStatus,
} from "../../apimachinery/index.ts";
import { assert } from "../../lib/index.ts";
import { answerObject } from "../answer.ts";
import type { ApiRequest } from "../api-request.ts";
import { writeQueryOf } from "../query-options.ts";
import { readTyped, type SentKind } from "../typed-body.ts";

const BINDING: SentKind = { kind: "Binding", apiVersion: "v1", typeName: "core.v1.Binding" };
const BINDING_RESOURCE = { group: "", resource: "pods/binding" };
const CREATED = 201;

/** POST of a Binding, to a pod or to the bindings of a namespace: puts a pod on a node, once. */
export async function bindPod(api: ApiRequest): Promise<Response> {
  const { dryRun } = writeQueryOf(api.query, "CreateOptions");
  const binding = await readTyped<Binding>(api.request, BINDING);
  const name = api.target.name || (binding.metadata.name ?? "");
  const given = binding.metadata.name ?? "";
  if (given !== "" && given !== name) {
    throw badRequest(`name in URL does not match name in Binding object`);
  }
  assertBinding(binding, name);
  const pods = findResource("", "v1", "pods");
  assert(pods !== undefined, "pods are served");
  const resource = api.context.registry.resource(pods);
  const now = rfc3339(api.context.clock.now());
  await resource.update(api.namespace, name, (current) => bound(current, binding, now), {
    scope: "binding",
    dryRun,
    retryConflicts: true,
  });
  return answerObject(successStatus(), api.media, { status: CREATED });
}

function assertBinding({ target }: Binding, name: string): void {
  const errors: FieldError[] = [];
  if (target === undefined) errors.push(requiredField("target", ""));
  else {
    const kind = target.kind ?? "";
    if (kind !== "" && kind !== "Node") {
      errors.push(notSupportedField("target.kind", kind, ["Node", "<empty>"]));
    }
    if ((target.name ?? "") === "") errors.push(requiredField("target.name", ""));
  }
  if (errors.length > 0) throw invalid({ group: "", kind: "Binding" }, name, errors);
}

/** The pod on its node. Throws 409 when it is on one already, or on its way out. */
function bound(pod: Pod, { metadata, target }: Binding, now: string): Pod {
  const name = pod.metadata.name ?? "";
  if ((metadata.uid ?? "") !== "" && metadata.uid !== pod.metadata.uid) {
    const found = `UID in precondition: ${metadata.uid}, UID in object meta: ${pod.metadata.uid}`;
    throw conflict(BINDING_RESOURCE, name, `Precondition failed: ${found}`);
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    const why = `pod ${name} is being deleted, cannot be assigned to a host`;
    throw conflict(BINDING_RESOURCE, name, why);
  }
  const assigned = pod.spec?.nodeName ?? "";
  if (assigned !== "") {
    const why = `pod ${name} is already assigned to node "${assigned}"`;
    throw conflict(BINDING_RESOURCE, name, why);
  }
  if ((pod.spec?.schedulingGates ?? []).length > 0) {
    throw conflict(BINDING_RESOURCE, name, `pod ${name} has non-empty .spec.schedulingGates`);
  }
  const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: now };
  return {
    ...pod,
    metadata: withAnnotations(pod.metadata, metadata.annotations),
    spec: { ...pod.spec, nodeName: target.name ?? "" } as NonNullable<Pod["spec"]>,
    status: { ...pod.status, conditions: [...conditions, scheduled] },
  };
}

function withAnnotations(
  metadata: Pod["metadata"],
  annotations: Record<string, string> | undefined,
): Pod["metadata"] {
  if (annotations === undefined) return metadata;
  return { ...metadata, annotations: { ...metadata.annotations, ...annotations } };
}
