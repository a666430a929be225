/**
 * What a worker process and its supervisor say to each other: one JSON object a line over the
 * worker's control socket (Unix, mode 0600), and the result file the worker leaves behind.
 *
 * Checked by hand instead of with zod, because the worker loads this file before it listens and
 * zod costs 25 ms of a 10 ms start (measured, Bun 1.4.5).
 */

import type { AllowedHost, PodGrants, VolumeGrant } from "./component/pod-grants.ts";

/** A directory the guest finds open at start. `hostPath` must be an existing directory. */
export interface WorkerPreopen {
  readonly guestPath: string;
  readonly hostPath: string;
  readonly readOnly: boolean;
}

/** A listening socket the guest finds open at start, in the order of the container's ports. */
export interface WorkerPort {
  readonly port: number;
  readonly protocol: "TCP";
  /** Where the worker always listens; at most {@link MAX_UNIX_PATH_BYTES} bytes. */
  readonly unixPath: string;
  /** Loopback address of the TCP facade, such as `127.42.0.7`; failing to bind it is not fatal. */
  readonly address?: string;
}

/** Limits of the `wagi` style; each has a default in the worker. */
export interface WagiLimits {
  /** Answer 504 and give the instance up after this long; default 30,000. */
  readonly requestTimeoutMs?: number;
  /** Instances that run at once; more requests wait in a bounded queue; default 64. */
  readonly concurrency?: number;
  /** Largest request body held for an instance's stdin; default 8 MiB, above it 413. */
  readonly maxBodyBytes?: number;
  /** Writes a line a request to standard output; default false. */
  readonly accessLog?: boolean;
}

/** What a worker needs of a component besides its files; see `component/`. */
export interface WorkerComponent {
  /** Where its translation is: manifest.json, the generated code, the core modules. */
  readonly directory: string;
  readonly grants: PodGrants;
  /** Instances there may be at once. */
  readonly instances: number;
  readonly requestTimeoutMs: number;
  /** One line a request in the container's log. */
  readonly accessLog: boolean;
  /** Every request gets an instance of its own. */
  readonly freshInstances: boolean;
  /** The Unix socket of the pod's way out; without it every outgoing call is refused. */
  readonly egressPath?: string;
  /** The Unix socket of the pod's way to key-value stores; without it every store is refused. */
  readonly keyvaluePath?: string;
}

/** How a container shares its process with others; see ADR 0012. */
export interface SharedSeat {
  /** Guests the process holds at most. The same for all of a process. */
  readonly capacity: number;
  /** `namespace/pod/container`: how a guest that hurt its neighbours is named to them. */
  readonly name: string;
  /** A guest that computes for longer without letting its neighbours run ends the process. */
  readonly blockLimitMs: number;
}

/** Everything a worker needs to run one container. */
export interface WorkerSpec {
  readonly containerId: string;
  readonly modulePath: string;
  /** Where the module stands as it is compiled, once a worker has left it there. */
  readonly preparedPath?: string;
  /** The guest's argv, argv[0] included; empty means `["main.wasm"]`. */
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly preopens: readonly WorkerPreopen[];
  readonly ports: readonly WorkerPort[];
  /** CRI log format, appended: `<RFC 3339 nano> stdout F line`. Its directory must exist. */
  readonly logPath: string;
  /** At this size the file becomes `<logPath>.1` (replacing the former one) and starts anew. */
  readonly logMaxBytes: number;
  /** What the guest says beyond it is dropped; without it nothing is. */
  readonly logBytesPerSecond?: number;
  readonly memoryLimitBytes?: number;
  readonly style: "command" | "wagi" | "component";
  /** Written atomically when the guest ends: a {@link WorkerResult}. */
  readonly resultPath: string;
  readonly wagi?: WagiLimits;
  /** Set exactly when the style is `component`. */
  readonly component?: WorkerComponent;
  /** Without it the process is this container's alone, and ends with it. */
  readonly shared?: SharedSeat;
}

/** Supervisor → worker. A container is named, because a process may hold several. */
export type WorkerRequest =
  | { readonly type: "start"; readonly spec: WorkerSpec }
  | { readonly type: "status"; readonly containerId: string }
  /** Without a grace period the guest is ended at once, as SIGKILL ends a process. */
  | { readonly type: "stop"; readonly containerId: string; readonly gracePeriodMs: number };

/** Whether the TCP facade of a port is bound; the Unix socket always is once started. */
export type FacadeStatus =
  | { readonly port: number; readonly bound: true }
  | { readonly port: number; readonly bound: false; readonly error: string };

/** `absent`: the process does not hold the container, no longer or not yet. */
export type WorkerPhase = "absent" | "running" | "draining";

export interface WorkerStatus {
  readonly type: "status";
  readonly containerId: string;
  readonly phase: WorkerPhase;
  /** Open connections of the guest, those not yet accepted included. */
  readonly connections: number;
  /** Size of the guest's linear memory. */
  readonly memoryBytes: number;
  /** Time the guest itself computed, where it shares its process. */
  readonly cpuNanoseconds: number;
  readonly facade: readonly FacadeStatus[];
}

/** Worker → supervisor. */
export type WorkerReply =
  | {
      readonly type: "started";
      readonly containerId: string;
      readonly facade: readonly FacadeStatus[];
    }
  | {
      readonly type: "failed";
      readonly containerId: string;
      readonly reason: "ContainerCannotRun";
      readonly message: string;
    }
  | WorkerStatus
  | { readonly type: "stopping"; readonly containerId: string }
  /** Unasked: a guest ended in a process that lives on, and its result file is there. */
  | { readonly type: "ended"; readonly containerId: string }
  /** Answers a line that is not a {@link WorkerRequest}, or one that makes no sense now. */
  | { readonly type: "error"; readonly containerId?: string; readonly message: string };

export type WorkerEndReason = "Completed" | "Error" | "OOMKilled" | "ContainerCannotRun";

/** Content of the result file. */
export interface WorkerResult {
  readonly exitCode: number;
  readonly reason: WorkerEndReason;
  /** Empty when there is nothing to say beyond the code. */
  readonly message: string;
  /** RFC 3339 with nanoseconds. */
  readonly finishedAt: string;
}

/** Where the result of a guest stands that is ended because it computes past its deadline. */
export function blockedResultPath(resultPath: string): string {
  return `${resultPath}.blocked`;
}

// Exit codes that are not the guest's own.

/** It computed past its deadline and blocked its process, as timeout(1) says it. */
export const EXIT_BLOCKED = 124;
/** A process that SIGALRM ended, as the shell around it records: it is told as EXIT_BLOCKED. */
export const ALARM_EXIT_CODE = 142;
export const EXIT_CANNOT_RUN = 128;
export const EXIT_TRAP = 134;
export const EXIT_OUT_OF_MEMORY = 137;
/** As after SIGKILL. */
export const EXIT_KILLED = 137;
export const EXIT_STOPPED = 143;

/** sun_path holds 108 bytes with its final zero. */
export const MAX_UNIX_PATH_BYTES = 107;
/** A line longer than this ends the control connection. */
export const MAX_CONTROL_LINE_BYTES = 8 * 1024 * 1024;

/** A line or file that does not follow the protocol; the message names the field. */
export class WorkerProtocolError extends Error {
  override readonly name = "WorkerProtocolError";
}

/** One message as it goes over the socket, newline included. */
export function encodeWorkerMessage(message: WorkerRequest | WorkerReply): string {
  return `${JSON.stringify(message)}\n`;
}

/** Reads one line from the supervisor. Throws {@link WorkerProtocolError}. */
export function parseWorkerRequest(line: string): WorkerRequest {
  const message = record(parseJson(line), "request");
  switch (message["type"]) {
    case "start":
      return { type: "start", spec: parseSpec(message["spec"]) };
    case "status":
      return { type: "status", containerId: text(message["containerId"], "containerId") };
    case "stop":
      return {
        type: "stop",
        containerId: text(message["containerId"], "containerId"),
        gracePeriodMs: count(message["gracePeriodMs"], "gracePeriodMs"),
      };
    default:
      throw new WorkerProtocolError(
        `type is ${JSON.stringify(message["type"])}: want start, status or stop`,
      );
  }
}

/** Reads one line from the worker. Throws {@link WorkerProtocolError}. */
export function parseWorkerReply(line: string): WorkerReply {
  const message = record(parseJson(line), "reply");
  const type = message["type"];
  if (type === "error") return parseError(message);
  const containerId = text(message["containerId"], "containerId");
  switch (type) {
    case "started":
      return { type, containerId, facade: list(message["facade"], "facade").map(parseFacade) };
    case "stopping":
    case "ended":
      return { type, containerId };
    case "failed":
      return {
        type,
        containerId,
        reason: oneOf(message["reason"], ["ContainerCannotRun"], "reason"),
        message: text(message["message"], "message"),
      };
    case "status":
      return {
        type,
        containerId,
        phase: oneOf(message["phase"], ["absent", "running", "draining"], "phase"),
        connections: count(message["connections"], "connections"),
        memoryBytes: count(message["memoryBytes"], "memoryBytes"),
        cpuNanoseconds: count(message["cpuNanoseconds"], "cpuNanoseconds"),
        facade: list(message["facade"], "facade").map(parseFacade),
      };
    default:
      throw new WorkerProtocolError(`type is ${JSON.stringify(type)}: want a worker's reply`);
  }
}

function parseError(message: Readonly<Record<string, unknown>>): WorkerReply {
  const { containerId } = message;
  return {
    type: "error",
    message: text(message["message"], "message"),
    ...(containerId === undefined ? {} : { containerId: text(containerId, "containerId") }),
  };
}

/** Reads a result file. Throws {@link WorkerProtocolError}. */
export function parseWorkerResult(content: string): WorkerResult {
  const result = record(parseJson(content), "result");
  return {
    exitCode: count(result["exitCode"], "exitCode"),
    reason: oneOf(
      result["reason"],
      ["Completed", "Error", "OOMKilled", "ContainerCannotRun"],
      "reason",
    ),
    message: text(result["message"], "message"),
    finishedAt: text(result["finishedAt"], "finishedAt"),
  };
}

function parseSpec(value: unknown): WorkerSpec {
  const spec = record(value, "spec");
  const memory = spec["memoryLimitBytes"];
  const wagi = spec["wagi"];
  const logRate = spec["logBytesPerSecond"];
  const prepared = spec["preparedPath"];
  const style = oneOf(spec["style"], ["command", "wagi", "component"], "spec.style");
  return {
    containerId: text(spec["containerId"], "spec.containerId"),
    modulePath: text(spec["modulePath"], "spec.modulePath"),
    ...(prepared === undefined ? {} : { preparedPath: text(prepared, "spec.preparedPath") }),
    args: list(spec["args"], "spec.args").map((arg) => text(arg, "spec.args[]")),
    env: list(spec["env"], "spec.env").map((pair) => {
      const [name, content] = list(pair, "spec.env[]");
      return [text(name, "spec.env[][0]"), text(content, "spec.env[][1]")] as const;
    }),
    preopens: list(spec["preopens"], "spec.preopens").map(parsePreopen),
    ports: list(spec["ports"], "spec.ports").map(parsePort),
    logPath: text(spec["logPath"], "spec.logPath"),
    logMaxBytes: count(spec["logMaxBytes"], "spec.logMaxBytes"),
    ...(logRate === undefined
      ? {}
      : { logBytesPerSecond: count(logRate, "spec.logBytesPerSecond") }),
    ...(memory === undefined ? {} : { memoryLimitBytes: count(memory, "spec.memoryLimitBytes") }),
    style,
    resultPath: text(spec["resultPath"], "spec.resultPath"),
    ...(wagi === undefined ? {} : { wagi: parseWagi(wagi) }),
    ...(style === "component" ? { component: parseComponent(spec["component"]) } : {}),
    ...(spec["shared"] === undefined ? {} : { shared: parseSeat(spec["shared"]) }),
  };
}

function parseSeat(value: unknown): SharedSeat {
  const seat = record(value, "spec.shared");
  return {
    capacity: count(seat["capacity"], "spec.shared.capacity"),
    name: text(seat["name"], "spec.shared.name"),
    blockLimitMs: count(seat["blockLimitMs"], "spec.shared.blockLimitMs"),
  };
}

function parsePreopen(value: unknown): WorkerPreopen {
  const preopen = record(value, "spec.preopens[]");
  const readOnly = preopen["readOnly"];
  if (typeof readOnly !== "boolean") {
    throw new WorkerProtocolError("spec.preopens[].readOnly: want a boolean");
  }
  return {
    guestPath: text(preopen["guestPath"], "spec.preopens[].guestPath"),
    hostPath: text(preopen["hostPath"], "spec.preopens[].hostPath"),
    readOnly,
  };
}

function parsePort(value: unknown): WorkerPort {
  const port = record(value, "spec.ports[]");
  const address = port["address"];
  const unixPath = text(port["unixPath"], "spec.ports[].unixPath");
  if (Buffer.byteLength(unixPath) > MAX_UNIX_PATH_BYTES) {
    throw new WorkerProtocolError(
      `spec.ports[].unixPath ${unixPath} is longer than ${MAX_UNIX_PATH_BYTES} bytes`,
    );
  }
  return {
    port: count(port["port"], "spec.ports[].port"),
    protocol: oneOf(port["protocol"], ["TCP"], "spec.ports[].protocol"),
    unixPath,
    ...(address === undefined ? {} : { address: text(address, "spec.ports[].address") }),
  };
}

function parseWagi(value: unknown): WagiLimits {
  const limits = record(value, "spec.wagi");
  const names = ["requestTimeoutMs", "concurrency", "maxBodyBytes"] as const;
  const numbers = names
    .filter((name) => limits[name] !== undefined)
    .map((name) => [name, count(limits[name], `spec.wagi.${name}`)]);
  const accessLog = limits["accessLog"] === true;
  return { ...Object.fromEntries(numbers), ...(accessLog ? { accessLog } : {}) };
}

function parseComponent(value: unknown): WorkerComponent {
  const component = record(value, "spec.component");
  const grants = record(component["grants"], "spec.component.grants");
  const egressPath = component["egressPath"];
  const keyvaluePath = component["keyvaluePath"];
  return {
    directory: text(component["directory"], "spec.component.directory"),
    grants: {
      allowedHosts: list(grants["allowedHosts"], "spec.component.grants.allowedHosts").map(
        parseAllowedHost,
      ),
      keyvalueStores: list(grants["keyvalueStores"], "spec.component.grants.keyvalueStores").map(
        (name) => text(name, "spec.component.grants.keyvalueStores[]"),
      ),
      sqliteDatabases: list(grants["sqliteDatabases"], "spec.component.grants.sqliteDatabases").map(
        parseVolumeGrant,
      ),
      blobContainers: list(grants["blobContainers"], "spec.component.grants.blobContainers").map(
        parseVolumeGrant,
      ),
    },
    instances: count(component["instances"], "spec.component.instances"),
    requestTimeoutMs: count(component["requestTimeoutMs"], "spec.component.requestTimeoutMs"),
    accessLog: component["accessLog"] === true,
    freshInstances: component["freshInstances"] === true,
    ...(egressPath === undefined
      ? {}
      : { egressPath: text(egressPath, "spec.component.egressPath") }),
    ...(keyvaluePath === undefined
      ? {}
      : { keyvaluePath: text(keyvaluePath, "spec.component.keyvaluePath") }),
  };
}

function parseAllowedHost(value: unknown): AllowedHost {
  const name = "spec.component.grants.allowedHosts[]";
  const { scheme, host, port } = record(value, name);
  return {
    scheme: oneOf(scheme, ["http", "https", "tcp", "udp", "*"], `${name}.scheme`),
    host: text(host, `${name}.host`),
    port: port === "*" ? port : count(port, `${name}.port`),
  };
}

function parseVolumeGrant(value: unknown): VolumeGrant {
  const { name, path } = record(value, "spec.component.grants[][]");
  return {
    name: text(name, "spec.component.grants[][].name"),
    path: text(path, "spec.component.grants[][].path"),
  };
}

function parseFacade(value: unknown): FacadeStatus {
  const facade = record(value, "facade[]");
  const port = count(facade["port"], "facade[].port");
  return facade["bound"] === true
    ? { port, bound: true }
    : { port, bound: false, error: text(facade["error"], "facade[].error") };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new WorkerProtocolError(`not JSON: ${String(error)}`);
  }
}

function record(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new WorkerProtocolError(`${name}: want an object, not ${JSON.stringify(value)}`);
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new WorkerProtocolError(`${name}: want an array, not ${JSON.stringify(value)}`);
}

function text(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw new WorkerProtocolError(`${name}: want a string, not ${JSON.stringify(value)}`);
}

function count(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new WorkerProtocolError(`${name}: want an integer ≥ 0, not ${JSON.stringify(value)}`);
}

function oneOf<const Choice extends string>(
  value: unknown,
  choices: readonly Choice[],
  name: string,
): Choice {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new WorkerProtocolError(
    `${name}: want one of ${choices.join(", ")}, not ${JSON.stringify(value)}`,
  );
}
