import { Buffer } from "node:buffer";
import { ByteWriter } from "./byte-codec.ts";
import type { StateMachine } from "./state-machine.ts";

/** Keys take at most three bytes a UTF-16 code unit; the rest is six numbers. */
const BYTES_PER_CODE_UNIT = 3;
const OVERHEAD_BYTES = 64;

/**
 * A fingerprint of the replicated state: equal on all replicas at an equal applied index, whatever
 * each of them has scavenged. 16 hexadecimal digits. Walks all keys: for tests and rare checks.
 */
export function stateHash(machine: StateMachine): string {
  const numbers = machine.numbers;
  let hash = Bun.hash.xxHash64(
    JSON.stringify([
      numbers.appliedIndex,
      numbers.appliedTerm,
      numbers.revision,
      numbers.compactedRevision,
      numbers.featureLevel,
      numbers.nextLease,
      ...groupOf(machine),
      machine.leases().map((lease) => [lease.id, lease.ttlMs, [...lease.keys].sort()]),
    ]),
  );
  for (const kv of machine.list("")) {
    const writer = new ByteWriter(kv.key.length * BYTES_PER_CODE_UNIT + OVERHEAD_BYTES);
    writer.text(kv.key);
    writer.varint(kv.createRevision);
    writer.varint(kv.modRevision);
    writer.varint(kv.version);
    writer.varint(kv.lease ?? 0);
    hash = Bun.hash.xxHash64(kv.value, Bun.hash.xxHash64(writer.finish(), hash));
  }
  return hash.toString(16).padStart(16, "0");
}

/** Nothing while the log had no config entry, so that the hash of an older state stays the same. */
function groupOf(machine: StateMachine): string[] {
  const { clusterId, members } = machine.group;
  return clusterId === "" ? [] : [clusterId, Buffer.from(members).toString("hex")];
}
