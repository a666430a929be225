import { type AdmissionPlugin, type AdmittedWrite, isAbout } from "./admission-plugin.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-class.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import {
  defaultTolerationSeconds,
  priority,
  runtimeClass,
  serviceAccount,
} from "./pod-admission.ts";
import { podSecurity } from "./pod-security/pod-security.ts";

/**
 * The plugins in kube-apiserver's order. What depends on who asks (NodeRestriction, grants of
 * rights, webhooks) stands before the registry, in the apiserver; ResourceQuota comes last, as a
 * reservation (quota/quota-ledger.ts), because what it grants must be given back when the write
 * fails.
 */
export const ADMISSION_CHAIN: readonly AdmissionPlugin[] = [
  namespaceLifecycle,
  limitRanger,
  serviceAccount,
  podSecurity,
  priority,
  defaultTolerationSeconds,
  defaultStorageClass,
  runtimeClass,
  defaultIngressClass,
];

/** Completes or refuses an object about to be created, by what else is in the cluster. */
export function completeObject(write: AdmittedWrite): void {
  for (const plugin of ADMISSION_CHAIN) {
    if (plugin.complete !== undefined && isAbout(plugin, write.definition)) plugin.complete(write);
  }
}

/** Refuses a complete and valid object by what else is in the cluster, or warns about it. */
export function judgeObject(write: AdmittedWrite): void {
  for (const plugin of ADMISSION_CHAIN) {
    if (plugin.judge !== undefined && isAbout(plugin, write.definition)) plugin.judge(write);
  }
}
