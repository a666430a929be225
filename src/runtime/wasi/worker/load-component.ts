import type { HostClock } from "../host/host-clock.ts";
import type { WorkerComponent, WorkerSpec } from "../worker-protocol.ts";
import type { ComponentCode } from "./component-code.ts";
import { ComponentCommand } from "./component-command.ts";
import { ComponentGuest } from "./component-guest.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest } from "./guest.ts";
import { PreparedComponents } from "./prepared-components.ts";

export { PreparedComponents };

/** Loads a component's translation. Throws an error whose message is for the pod's status. */
export async function loadComponent(
  spec: WorkerSpec & { readonly component: WorkerComponent },
  clock: HostClock,
  prepared: PreparedComponents = new PreparedComponents(),
): Promise<(log: CriLog) => Guest> {
  const { component, memoryLimitBytes } = spec;
  const code: ComponentCode = await prepared.take(component.directory, memoryLimitBytes);
  return (log) =>
    code.manifest.kind === "http"
      ? new ComponentGuest(spec, code, log, clock)
      : new ComponentCommand(spec, code, log, clock);
}
