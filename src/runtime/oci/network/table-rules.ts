import type { HostPort } from "../../runtime.ts";

export interface TableOptions {
  /** "kubun_1f2e3d4c": one table of ours a node. */
  readonly table: string;
  readonly bridge: string;
  /** The containers of this node. */
  readonly containers: string;
  /** The cluster's ranges: inside, everybody is seen with his own address. */
  readonly inside: readonly string[];
  readonly hostPorts: readonly PodHostPort[];
}

export interface PodHostPort extends HostPort {
  /** The pod's address. */
  readonly ip: string;
}

/** Anything but the machine's loopback, which no packet of another machine or pod can have. */
const LOOPBACK = "127.0.0.0/8";

/**
 * The script that makes the table anew as a whole, whatever was in it: what containers send out
 * carries the machine's address, host ports lead to their pods, and the machine's loopback is out
 * of reach even when somebody told the kernel to route it.
 */
export function tableScript(options: TableOptions): string {
  const { table, bridge, containers, hostPorts } = options;
  const inside = `{ ${options.inside.join(", ")} }`;
  const own = `iifname "${bridge}"`;
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    ${own} ip daddr ${LOOPBACK} drop
    ${own} ip saddr != ${containers} drop
  }
  chain outwards {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${containers} ip daddr != ${inside} oifname != "${bridge}" masquerade
  }
  chain inwards {
    type nat hook prerouting priority dstnat; policy accept;
${portRules(hostPorts, inside)}
  }
  chain from_here {
    type nat hook output priority -100; policy accept;
${portRules(hostPorts, inside, LOOPBACK)}
  }
}
`;
}

export function deleteTableScript(table: string): string {
  return `table ip ${table}\ndelete table ip ${table}\n`;
}

function portRules(ports: readonly PodHostPort[], inside: string, except?: string): string {
  const elsewhere = except === undefined ? "" : `ip daddr != ${except} `;
  return ports
    .flatMap(({ hostPort, containerPort, protocol, hostIp, ip }) => {
      const chosen = hostIp === undefined || hostIp === "" || hostIp === "0.0.0.0";
      const here = chosen
        ? `fib daddr type local ${elsewhere}ip daddr != ${inside}`
        : `ip daddr ${hostIp}`;
      const match = `${protocol.toLowerCase()} dport ${hostPort}`;
      return hostIp?.includes(":") ? [] : [`    ${here} ${match} dnat to ${ip}:${containerPort}`];
    })
    .join("\n");
}
