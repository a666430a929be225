import { defaultPodTemplate } from "./pod-defaults.ts";
import type { ReplicationController } from "./types.ts";

/** Selector and labels come from the template where they are not given. */
export function defaultReplicationController(controller: ReplicationController): void {
  const spec = (controller.spec ??= {});
  const labels = spec.template?.metadata?.labels ?? {};
  if (Object.keys(labels).length > 0) {
    if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
    if (Object.keys(controller.metadata.labels ?? {}).length === 0) {
      controller.metadata.labels = { ...labels };
    }
  }
  spec.replicas ??= 1;
  if (spec.template !== undefined) defaultPodTemplate(spec.template);
}
