import { RuntimeError } from "../runtime.ts";
import { componentSettings } from "./component/pod-grants.ts";
import { SHARED_DEFAULT_MEMORY_BYTES, trustDomain } from "./density/trust-domain.ts";
import { logBytesPerSecond } from "./limits/log-rate-setting.ts";
import type { ContainerRecord, SandboxRecord, StateDirectory } from "./state-directory.ts";
import {
  MAX_UNIX_PATH_BYTES,
  type WagiLimits,
  type WorkerComponent,
  type WorkerPort,
  type WorkerSpec,
} from "./worker-protocol.ts";

/** At this size a worker starts a new log file and keeps the former one. */
export const LOG_MAX_BYTES = 10 * 1024 * 1024;

/** What the worker of a container is told. Throws `invalid-config`. */
export function workerSpec(
  directory: StateDirectory,
  sandbox: SandboxRecord,
  record: ContainerRecord,
): WorkerSpec {
  const { config } = record;
  const seat = trustDomain(sandbox, record)?.seat;
  const memoryLimitBytes =
    config.memoryLimitBytes ?? (seat === undefined ? undefined : SHARED_DEFAULT_MEMORY_BYTES);
  const component = componentOf(directory, sandbox, record);
  const style =
    component !== undefined ? "component" : sandbox.handler === "wagi" ? "wagi" : "command";
  // Those of wagi get their memory from elsewhere.
  const preparedPath =
    style === "command" ? directory.preparedModules.pathFor(record, memoryLimitBytes) : undefined;
  return {
    containerId: record.id,
    modulePath: record.modulePath,
    ...(preparedPath === undefined ? {} : { preparedPath }),
    args: record.argv,
    env: record.env,
    preopens: config.mounts,
    ports: portsOf(directory, sandbox, record),
    logPath: config.logPath,
    logMaxBytes: LOG_MAX_BYTES,
    logBytesPerSecond: logBytesPerSecond(sandbox.annotations),
    ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
    style,
    resultPath: directory.resultPath(record.id),
    ...(component === undefined ? {} : { component }),
    ...(component !== undefined || sandbox.handler !== "wagi" ? {} : { wagi: wagiOf(sandbox) }),
    ...(seat === undefined ? {} : { shared: seat }),
  };
}

function componentOf(
  directory: StateDirectory,
  sandbox: SandboxRecord,
  record: ContainerRecord,
): WorkerComponent | undefined {
  if (record.componentDirectory === undefined) return undefined;
  const { grants, ...settings } = componentSettings(sandbox.annotations);
  return {
    directory: record.componentDirectory,
    grants,
    ...settings,
    ...(grants.allowedHosts.length === 0 ? {} : { egressPath: directory.egressPath(sandbox) }),
    ...(grants.keyvalueStores.length === 0
      ? {}
      : { keyvaluePath: directory.keyvaluePath(sandbox) }),
  };
}

/** The annotations of components that mean the same for modules that are called by request. */
function wagiOf({ annotations }: SandboxRecord): WagiLimits {
  const { requestTimeoutMs, instances, accessLog } = componentSettings(annotations);
  return { requestTimeoutMs, concurrency: instances, accessLog };
}

/** Guests get TCP listeners; ports of other protocols are only documentation. */
function portsOf(
  directory: StateDirectory,
  sandbox: SandboxRecord,
  record: ContainerRecord,
): WorkerPort[] {
  const ports = new Set(
    record.config.ports.filter(({ protocol }) => protocol === "TCP").map(({ port }) => port),
  );
  return [...ports].map((port) => {
    const unixPath = directory.portPath(sandbox, port);
    if (Buffer.byteLength(unixPath) > MAX_UNIX_PATH_BYTES) {
      throw new RuntimeError(
        "invalid-config",
        `socket ${unixPath} is longer than ${MAX_UNIX_PATH_BYTES} bytes: use a shorter directory`,
      );
    }
    // Where it joined a network it is called by localhost as well.
    const address = sandbox.joins === undefined ? sandbox.ip : "0.0.0.0";
    return { port, protocol: "TCP", unixPath, address };
  });
}
