import { join } from "node:path";
import type { Deployment } from "../api/index.ts";
import { applyObjects, CommandError, pushImage } from "../cli/index.ts";
import type { ClusterConnection } from "../cli/index.ts";
import { DEPLOYMENTS } from "../client/index.ts";

/** The workload that `kubun up` starts with. */
export interface Sample {
  readonly deployment: string;
  readonly url: string;
}

const NAME = "hello-http";
const IMAGE = "hello-http:v1";
const FOLDER = join(import.meta.dir, "..", "..", "workloads", NAME);
const ANSWER_DEADLINE_MS = 30_000;
const POLL_INTERVAL_MS = 10;

/** Pushes the sample's module, applies its manifest and waits until its URL answers. */
export async function deploySample(cluster: ClusterConnection): Promise<Sample> {
  const module = await Bun.file(join(FOLDER, `${NAME}.wasm`)).bytes();
  await pushImage(cluster, { reference: IMAGE, module });
  await applyObjects(cluster.client, await Bun.file(join(FOLDER, `${NAME}.yaml`)).text());
  const url = `${cluster.ingress}/`;
  const deadlineMs = performance.now() + ANSWER_DEADLINE_MS;
  while (!(await answers(url))) {
    if (performance.now() > deadlineMs) {
      const deployment = await cluster.client.resource(DEPLOYMENTS, "default").get(NAME);
      throw new CommandError(
        `${url} does not answer: ${describe(deployment)}; ` +
          `look with: kubun kubectl describe pods -l app=${NAME}`,
      );
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  return { deployment: NAME, url };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // Nothing listens or the connection broke: the caller asks again until its deadline.
    return false;
  }
}

function describe(deployment: Deployment): string {
  const { readyReplicas = 0, replicas = 0 } = deployment.status ?? {};
  return `deployment ${NAME} has ${readyReplicas} of ${replicas} pods ready`;
}
