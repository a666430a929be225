import type { Pod } from "../api/index.ts";
import type { EventRecorder, EventType } from "../client/index.ts";
import { isInitContainer } from "./pod-runtime-state.ts";

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
    const list = isInitContainer(pod, name) ? "initContainers" : "containers";
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
