import type { FilterPlugin, HostPort } from "../plugin.ts";

const EVERY_ADDRESS = "0.0.0.0";

/** A port of a node is one pod's, unless they take it on different addresses. */
export const hostPorts: FilterPlugin = {
  name: "NodePorts",
  wakesOn: ["node-changed", "pod-freed"],
  resolvable: "by-eviction",
  prepare: ({ hostPorts: wanted }) => {
    if (wanted.length === 0) return undefined;
    return (node) => {
      for (const other of node.pods()) {
        const isTaken = other.hostPorts.some((one) => wanted.some((port) => collide(one, port)));
        if (isTaken) return ["node(s) didn't have free ports for the requested pod ports"];
      }
      return [];
    };
  },
};

function collide(one: HostPort, other: HostPort): boolean {
  if (one.port !== other.port || one.protocol !== other.protocol) return false;
  return one.ip === other.ip || one.ip === EVERY_ADDRESS || other.ip === EVERY_ADDRESS;
}
