import { SharedInformers } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { startCertificatesController } from "./certificates/controller.ts";
import type { CertificatesOptions } from "./certificates/controller.ts";
import type { ControllerContext } from "./controller-context.ts";
import { startCustomResourceController } from "./custom-resource-definition/controller.ts";
import { startDeploymentController } from "./deployment/controller.ts";
import { startDisruptionController } from "./disruption/controller.ts";
import { startEndpointSliceController } from "./endpoint-slice/controller.ts";
import { startGarbageCollector } from "./garbage-collector/controller.ts";
import { startHorizontalPodAutoscaler } from "./horizontal-pod-autoscaler/controller.ts";
import { startNamespaceController } from "./namespace/controller.ts";
import { startNodeIpamController } from "./node-ipam/controller.ts";
import { startNodeLifecycleController } from "./node-lifecycle/controller.ts";
import { startPodGc } from "./pod-gc/controller.ts";
import { startReplicaSetController } from "./replica-set/controller.ts";
import { startResourceQuotaController } from "./resource-quota/controller.ts";
import { startScaleToZeroController } from "./scale-to-zero/controller.ts";
import { startServiceAccountController } from "./service-account/controller.ts";
import { startTokenSecretsController } from "./service-account/token-secrets.ts";
import type { SignAccountToken } from "./service-account/token-secrets.ts";

export interface ControllersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The certificate (PEM) that pods trust the API server by, published to every namespace. */
  readonly rootCa?: string;
  /** Signs what Secrets of type kubernetes.io/service-account-token hold; else they stay empty. */
  readonly signAccountToken?: SignAccountToken;
  /** Issues client certificates that were approved; requests stay as they are without it. */
  readonly certificates?: CertificatesOptions;
  /** Nodes get their pod addresses from this range, "127.42.0.0/16"; none are given without it. */
  readonly clusterCidr?: string;
  /** How long a node may be silent before it counts as lost; 40 s unless given. */
  readonly nodeGraceMs?: number;
  readonly signal: AbortSignal;
}

/** Starts every controller, all on one set of informers; they run until the signal aborts. */
export function startControllers(options: ControllersOptions): void {
  const { client, clock, random, logger, signal, rootCa, clusterCidr, nodeGraceMs } = options;
  const informers = new SharedInformers({ client, clock, random, logger });
  const context: ControllerContext = { client, informers, clock, random, logger, signal };
  startServiceAccountController(context, rootCa === undefined ? {} : { rootCa });
  if (rootCa !== undefined && options.signAccountToken !== undefined) {
    startTokenSecretsController(context, { rootCa, sign: options.signAccountToken });
  }
  if (options.certificates !== undefined) {
    startCertificatesController(context, options.certificates);
  }
  startDeploymentController(context);
  startReplicaSetController(context);
  startEndpointSliceController(context);
  startNamespaceController(context);
  startCustomResourceController(context);
  if (clusterCidr !== undefined) startNodeIpamController(context, { clusterCidr });
  startNodeLifecycleController(context, nodeGraceMs === undefined ? {} : { graceMs: nodeGraceMs });
  startPodGc(context);
  startDisruptionController(context);
  startResourceQuotaController(context);
  startHorizontalPodAutoscaler(context);
  startScaleToZeroController(context);
  // Last, so that it shares the informers of the others instead of watching beside them.
  startGarbageCollector(context);
  informers.start(signal);
}
