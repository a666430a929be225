import type { Pod } from "../api/index.ts";
import type { EventRecorder, EventType } from "../client/index.ts";

/** Events about pods and their containers, in the form `kubectl describe` shows. */
export class PodEvents {
  readonly #recorder: EventRecorder;

  constructor(recorder: EventRecorder) {
    this.#recorder = recorder;
  }

  pod(pod: Pod, type: EventType, reason: string, message: string): void {
    this.#recorder.event({ apiVersion: "v1", kind: "Pod", ...pod }, type, reason, message);
  }

  container(pod: Pod, name: string, type: EventType, reason: string, message: string): void {
    const list = listOf(pod, name);
    const { namespace = "", name: podName = "", uid = "", resourceVersion = "" } = pod.metadata;
    this.#recorder.event(
      {
        apiVersion: "v1",
        kind: "Pod",
        namespace,
        name: podName,
        uid,
        resourceVersion,
        fieldPath: `spec.${list}{${name}}`,
      },
      type,
      reason,
      message,
    );
  }
}

/** The part of the spec that the container stands in. */
function listOf({ spec }: Pod, name: string): string {
  const isNamed = (one: { readonly name: string }): boolean => one.name === name;
  if (spec?.initContainers?.some(isNamed) === true) return "initContainers";
  return spec?.ephemeralContainers?.some(isNamed) === true ? "ephemeralContainers" : "containers";
}
