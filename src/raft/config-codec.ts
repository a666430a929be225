import type { ConfigChange, ConfigStep, MemberRole } from "./types.ts";
import { RaftWireError, WireReader, WireWriter } from "./wire.ts";

const VERSION = 1;
/** More members than any group has. */
export const MAX_CONFIG_MEMBERS = 64;
const MAX_CONTEXT_BYTES = 256 * 1024;
const ROLES: readonly MemberRole[] = ["voter", "witness", "learner"];
const REMOVE = ROLES.length;

/** The data of a "config" entry. @throws RaftWireError when a bound is exceeded */
export function encodeConfigChange(change: ConfigChange): Uint8Array {
  if (change.steps.length > MAX_CONFIG_MEMBERS) {
    const given = change.steps.length;
    throw new RaftWireError(`a change has at most ${MAX_CONFIG_MEMBERS} steps, not ${given}`);
  }
  if (change.context.length > MAX_CONTEXT_BYTES) {
    const given = change.context.length;
    throw new RaftWireError(`a context has at most ${MAX_CONTEXT_BYTES} bytes, not ${given}`);
  }
  const writer = new WireWriter(16 + change.steps.length * 9 + change.context.length);
  writer.byte(VERSION);
  writer.number(change.steps.length);
  for (const step of change.steps) {
    writer.byte(step.type === "remove" ? REMOVE : ROLES.indexOf(step.role));
    writer.number(step.member);
  }
  writer.block(change.context);
  return writer.finish();
}

/** The change in a "config" entry's data; its context is a view. @throws RaftWireError */
export function decodeConfigChange(data: Uint8Array): ConfigChange {
  const reader = new WireReader(data);
  const version = reader.byte();
  if (version !== VERSION) {
    throw new RaftWireError(`a configuration change has version ${VERSION}, not ${version}`);
  }
  const count = reader.count(MAX_CONFIG_MEMBERS, "steps");
  const steps = Array.from({ length: count }, () => decodeStep(reader));
  const context = reader.block(MAX_CONTEXT_BYTES);
  reader.end();
  return { steps, context };
}

function decodeStep(reader: WireReader): ConfigStep {
  const role = ROLES[reader.choice(REMOVE + 1, "a step's kind")];
  const member = reader.member();
  return role === undefined ? { type: "remove", member } : { type: "add", member, role };
}
