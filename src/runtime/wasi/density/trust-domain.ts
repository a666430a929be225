import {
  REQUEST_TIMEOUT_ANNOTATION,
  requestTimeoutOf,
  SHARE_WORKER_ANNOTATION,
  truthOf,
} from "../component/pod-grants.ts";
import { containerGroup } from "../limits/container-group.ts";
import type { ContainerRecord, SandboxRecord } from "../state-directory.ts";
import type { SharedSeat } from "../worker-protocol.ts";
import type { SharingContainer } from "./worker-seats.ts";

/**
 * Containers one process holds at most. More would save little, because a process costs 10 MB and a
 * guest 0.3 MB, and would let one guest hurt more neighbours.
 */
export const GUESTS_OF_A_PROCESS = 100;
/** What a guest without a memory limit of its own may have: nobody bounds it by its process. */
export const SHARED_DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024;
/** A container that may take more is not small, and gets a process of its own. */
export const SHARED_MAX_MEMORY_BYTES = 256 * 1024 * 1024;
/** How long a guest may compute without letting its neighbours run. */
export const DEFAULT_BLOCK_LIMIT_MS = 10_000;
export const MAX_BLOCK_LIMIT_MS = 30_000;

/**
 * Which containers share a process, and how; `undefined` for one that has its own. Throws
 * `invalid-config` for annotations that make no sense.
 */
export function trustDomain(
  sandbox: SandboxRecord,
  record: ContainerRecord,
): { readonly sharing: SharingContainer; readonly seat: SharedSeat } | undefined {
  const annotations = sandbox.annotations ?? {};
  if (truthOf(annotations, SHARE_WORKER_ANNOTATION) !== true || sandbox.handler !== "wasi")
    return undefined;
  // An account is half of a domain: of a pod without one nobody knows whom it trusts.
  if (sandbox.serviceAccount === undefined || sandbox.blockedOthers === true) return undefined;
  if (record.componentDirectory !== undefined || sandbox.joins !== undefined) return undefined;
  if ((record.config.memoryLimitBytes ?? 0) > SHARED_MAX_MEMORY_BYTES) return undefined;
  const { namespace, serviceAccount, name } = sandbox;
  return {
    sharing: {
      domain: `${namespace}/${serviceAccount}`,
      capacity: GUESTS_OF_A_PROCESS,
      group: containerGroup(record),
    },
    seat: {
      capacity: GUESTS_OF_A_PROCESS,
      name: `${namespace}/${name}/${record.config.name}`,
      blockLimitMs: blockLimit(annotations[REQUEST_TIMEOUT_ANNOTATION]),
    },
  };
}

function blockLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_BLOCK_LIMIT_MS;
  return Math.min(requestTimeoutOf(text), MAX_BLOCK_LIMIT_MS);
}
