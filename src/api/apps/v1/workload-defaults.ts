import { defaultPersistentVolumeClaim } from "../../core/v1/persistent-volume-defaults.ts";
import { defaultPodTemplate } from "../../core/v1/pod-defaults.ts";
import type {
  DaemonSet,
  DaemonSetSpec,
  Deployment,
  DeploymentSpec,
  ReplicaSet,
  ReplicaSetSpec,
  StatefulSet,
  StatefulSetSpec,
} from "./types.ts";

const REVISION_HISTORY_LIMIT = 10;
const PROGRESS_DEADLINE_SECONDS = 600;

export function defaultDeployment(deployment: Deployment): void {
  const spec: Partial<DeploymentSpec> = (deployment.spec ??= {} as DeploymentSpec);
  spec.replicas ??= 1;
  const strategy = (spec.strategy ??= {});
  strategy.type ||= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    const rolling = (strategy.rollingUpdate ??= {});
    rolling.maxUnavailable ??= "25%";
    rolling.maxSurge ??= "25%";
  }
  spec.revisionHistoryLimit ??= REVISION_HISTORY_LIMIT;
  spec.progressDeadlineSeconds ??= PROGRESS_DEADLINE_SECONDS;
  defaultPodTemplate((spec.template ??= {}));
}

export function defaultReplicaSet(replicaSet: ReplicaSet): void {
  const spec: Partial<ReplicaSetSpec> = (replicaSet.spec ??= {} as ReplicaSetSpec);
  spec.replicas ??= 1;
  defaultPodTemplate((spec.template ??= {}));
}

export function defaultStatefulSet(statefulSet: StatefulSet): void {
  const spec: Partial<StatefulSetSpec> = (statefulSet.spec ??= {} as StatefulSetSpec);
  spec.podManagementPolicy ||= "OrderedReady";
  const strategy = (spec.updateStrategy ??= {});
  strategy.type ||= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.partition ??= 0;
  }
  const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
  retention.whenDeleted ||= "Retain";
  retention.whenScaled ||= "Retain";
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= REVISION_HISTORY_LIMIT;
  defaultPodTemplate((spec.template ??= {}));
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion ||= "v1";
    claim.kind ||= "PersistentVolumeClaim";
    defaultPersistentVolumeClaim(claim);
  }
}

export function defaultDaemonSet(daemonSet: DaemonSet): void {
  const spec: Partial<DaemonSetSpec> = (daemonSet.spec ??= {} as DaemonSetSpec);
  const strategy = (spec.updateStrategy ??= {});
  strategy.type ||= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    const rolling = (strategy.rollingUpdate ??= {});
    rolling.maxUnavailable ??= 1;
    rolling.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= REVISION_HISTORY_LIMIT;
  defaultPodTemplate((spec.template ??= {}));
}
