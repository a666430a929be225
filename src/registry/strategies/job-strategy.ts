import type { Job } from "../../api/index.ts";
import type { Strategy } from "../strategy.ts";

const UID_LABEL = "batch.kubernetes.io/controller-uid";
const NAME_LABEL = "batch.kubernetes.io/job-name";
const OLD_UID_LABEL = "controller-uid";
const OLD_NAME_LABEL = "job-name";

/** A Job finds its pods by its own uid, unless its author manages the selector by hand. */
export const jobStrategy: Strategy = {
  prepareForCreate(object) {
    const { metadata, spec } = object as Job;
    object["status"] = {};
    if (spec === undefined || spec.manualSelector === true) return;
    const uid = metadata.uid ?? "";
    const name = metadata.name ?? "";
    const template = (spec.template ??= {} as NonNullable<Job["spec"]>["template"]);
    template.metadata = {
      ...template.metadata,
      labels: {
        ...template.metadata?.labels,
        [UID_LABEL]: uid,
        [NAME_LABEL]: name,
        [OLD_UID_LABEL]: uid,
        [OLD_NAME_LABEL]: name,
      },
    };
    spec.selector = {
      ...spec.selector,
      matchLabels: { ...spec.selector?.matchLabels, [UID_LABEL]: uid },
    };
  },
};
