import type { Container, ContainerState as ApiContainerState, Pod } from "../../api/index.ts";
import { rfc3339 } from "../../apimachinery/index.ts";
import type { ContainerState, ContainerStatus, ExitReason } from "../../runtime/index.ts";
import { computePodActions, type PodAction, type PodPlan } from "../pod-actions.ts";
import type { PodRuntimeState } from "../pod-runtime-state.ts";
import { podStatusOf } from "../pod-status.ts";

const EPOCH = Date.UTC(2026, 0, 1);

/**
 * A pod and its runtime state that transcripts speak about. Commands:
 *
 *     pod restart=Always init=setup sidecar=proxy containers=app,web deadline=30 phase=Failed
 *     pod containers=app:Never:42 ephemeral=debugger    a policy of its own, and a rule for 42
 *     sandbox ready
 *     container app#1 exited exit=1 finished=5 backoff=10000
 *     unhealthy app#0 liveness
 *     evict disk is full
 *     plan now=5        what to do
 *     status now=5      what to tell
 *     restart app       does what the last plan said for the container, which then runs
 */
export class PodWorld {
  #pod: Pod = { metadata: {} };
  #state: { sandboxes: PodRuntimeState["sandboxes"]; containers: ContainerStatus[] } = {
    sandboxes: [],
    containers: [],
  };
  readonly #unhealthy = new Map<string, "liveness" | "startup">();
  readonly #notReady = new Set<string>();
  #eviction: { readonly eviction?: { readonly reason: string; readonly message: string } } = {};
  #plan: PodPlan = { actions: [], waiting: new Map() };

  run(line: string): string {
    const [command = "", ...rest] = line.split(" ");
    const words = rest.filter((word) => !word.includes("="));
    const options = new Map(
      rest.filter((word) => word.includes("=")).map((word) => word.split("=") as [string, string]),
    );
    switch (command) {
      case "pod":
        return this.#newPod(options);
      case "sandbox":
        return this.#sandbox(words[0] === "ready" ? "ready" : "notready");
      case "container":
        return this.#container(words, options);
      case "unhealthy":
        this.#unhealthy.set(words[0] ?? "", words[1] === "startup" ? "startup" : "liveness");
        return "";
      case "evict":
        this.#eviction = { eviction: { reason: "Evicted", message: words.join(" ") } };
        return "";
      case "unready":
        this.#notReady.add(words[0] ?? "");
        return "";
      case "plan":
        return this.#describePlan(at(options, "now"));
      case "status":
        return this.#describeStatus(at(options, "now"));
      case "restart":
        return this.#restart(words[0] ?? "", at(options, "now"));
      default:
        throw new Error(`unknown command ${command}`);
    }
  }

  #newPod(options: ReadonlyMap<string, string>): string {
    const named = (key: string): Container[] =>
      (options.get(key) ?? "")
        .split(",")
        .filter((name) => name !== "")
        .map((text) => {
          const [name = "", restartPolicy, exitCode] = text.split(":");
          const values = [Number(exitCode)];
          const exitCodes = { operator: "In", values };
          return {
            name,
            image: "app:v1",
            ...(restartPolicy === undefined ? {} : { restartPolicy }),
            ...(exitCode === undefined
              ? {}
              : { restartPolicyRules: [{ action: "Restart", exitCodes }] }),
          };
        });
    const sidecars = named("sidecar").map((one) => ({ ...one, restartPolicy: "Always" }));
    const deadline = options.get("deadline");
    const phase = options.get("phase");
    this.#pod = {
      metadata: { name: "web", namespace: "default", uid: "1234" },
      spec: {
        restartPolicy: options.get("restart") ?? "Always",
        initContainers: [...named("init"), ...sidecars],
        containers: named("containers"),
        ephemeralContainers: named("ephemeral"),
        ...(deadline === undefined ? {} : { activeDeadlineSeconds: Number(deadline) }),
      },
      status: { startTime: rfc3339(EPOCH), ...(phase === undefined ? {} : { phase }) },
    };
    this.#state = { sandboxes: [], containers: [] };
    this.#unhealthy.clear();
    this.#notReady.clear();
    this.#eviction = {};
    return "";
  }

  #sandbox(state: "ready" | "notready"): string {
    const sandbox = {
      id: "sandbox",
      name: "web",
      namespace: "default",
      uid: "1234",
      attempt: this.#state.sandboxes.length,
      handler: "wasi",
      state,
      ip: "127.42.0.2",
      createdAt: EPOCH,
    } as const;
    this.#state.sandboxes = [sandbox];
    return "";
  }

  #container(words: readonly string[], options: ReadonlyMap<string, string>): string {
    const [id = "", state = "running"] = words;
    const [name = "", attempt = "0"] = id.split("#");
    const exit = options.get("exit");
    const backoff = options.get("backoff");
    const status: ContainerStatus = {
      id,
      sandboxId: "sandbox",
      podUid: "1234",
      name,
      attempt: Number(attempt),
      state: state as ContainerState,
      createdAt: at(options, "created"),
      startedAt: at(options, "created"),
      ...(state === "exited" ? { finishedAt: at(options, "finished") } : {}),
      ...(state === "exited" ? { exitCode: Number(exit ?? 0) } : {}),
      ...(state === "exited" ? { reason: reasonOf(options, exit) } : {}),
      image: options.get("image") ?? "app:v1",
      imageRef: "app@sha256:0",
      logPath: "",
      warnings: [],
      annotations: backoff === undefined ? {} : { "kubun.dev/restart-backoff-ms": backoff },
    };
    this.#state.containers = [...this.#state.containers.filter((one) => one.id !== id), status];
    return "";
  }

  #restart(name: string, now: number): string {
    const start = this.#plan.actions.find(
      (action) => action.type === "start-container" && action.name === name,
    );
    if (start?.type !== "start-container") throw new Error(`no start of ${name} is planned`);
    const id = `${name}#${start.attempt}`;
    this.#container([id, "running"], new Map([["created", `${(now - EPOCH) / 1000}`]]));
    const status = this.#state.containers.find((one) => one.id === id);
    if (status !== undefined) Object.assign(status, { annotations: start.annotations });
    return "";
  }

  #describePlan(now: number): string {
    this.#plan = computePodActions({
      pod: this.#pod,
      observed: this.#state,
      now,
      unhealthy: this.#unhealthy,
      ...this.#eviction,
    });
    const { actions, waiting, checkAt, failure } = this.#plan;
    const lines = [
      ...actions.map(describeAction),
      ...[...waiting].map(([name, why]) => `waiting ${name}: ${why.reason}: ${why.message}`),
      ...(failure === undefined ? [] : [`fail: ${failure.reason}`]),
      ...(checkAt === undefined ? [] : [`check at ${(checkAt - EPOCH) / 1000}s`]),
    ];
    return lines.length === 0 ? "nothing" : lines.join("\n");
  }

  #describeStatus(now: number): string {
    const running = this.#state.containers.filter(({ state }) => state === "running");
    const started = new Set(running.map(({ id }) => id));
    const ready = new Set([...started].filter((id) => !this.#notReady.has(id)));
    const { waiting, failure } = computePodActions({
      pod: this.#pod,
      observed: this.#state,
      now,
      unhealthy: this.#unhealthy,
      ...this.#eviction,
    });
    const status = podStatusOf({
      pod: this.#pod,
      previous: this.#pod.status ?? {},
      observed: this.#state,
      notes: { waiting, ready, started, messages: new Map(), scheme: "wasi" },
      now,
      hostIp: "127.0.0.1",
      ...(failure === undefined ? {} : { failure }),
    });
    const containers = [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
      ...(status.ephemeralContainerStatuses ?? []),
    ].map(({ name, ready: isReady, restartCount, state, lastState }) => {
      const last = Object.keys(lastState ?? {}).length === 0 ? "" : ` last=${stateText(lastState)}`;
      return `${name}: ${stateText(state)} ready=${isReady} restarts=${restartCount}${last}`;
    });
    const conditions = (status.conditions ?? [])
      .filter(({ status: value }) => value !== "True")
      .map(({ type, reason = "", message = "" }) => `not ${type}: ${reason} ${message}`.trimEnd());
    return [`phase ${status.phase}`, ...containers, ...conditions].join("\n");
  }
}

function reasonOf(options: ReadonlyMap<string, string>, exit: string | undefined): ExitReason {
  if (options.get("reason") === "OOMKilled") return "OOMKilled";
  return exit === undefined || exit === "0" ? "Completed" : "Error";
}

function at(options: ReadonlyMap<string, string>, key: string): number {
  return EPOCH + Number(options.get(key) ?? 0) * 1000;
}

function describeAction(action: PodAction): string {
  switch (action.type) {
    case "create-sandbox":
      return `create sandbox ${action.attempt}`;
    case "start-container": {
      const backoff = action.annotations["kubun.dev/restart-backoff-ms"];
      const next = backoff === undefined ? "" : ` then ${backoff} ms`;
      return `start ${action.name}#${action.attempt}${next}`;
    }
    case "kill-container":
      return `kill ${action.containerId} in ${action.gracePeriodSeconds}s: ${action.message}`;
    case "kill-all":
      return `kill all in ${action.gracePeriodSeconds}s ${action.why?.reason ?? ""}`.trimEnd();
    case "remove-container":
      return `remove ${action.containerId}`;
  }
}

function stateText(state: ApiContainerState = {}): string {
  const { waiting, running, terminated } = state;
  if (running !== undefined) return "running";
  if (terminated !== undefined) return `${terminated.reason}(${terminated.exitCode})`;
  return waiting?.reason ?? "unknown";
}
