/** The name of the plugin, as the configuration has it: a file in the plugins' directory. */
export const PLUGIN_NAME = "kubun";

/** Begins the names of the machine's ends of pods' cables. */
export const CABLE_PREFIX = "kv";

/** All that the plugin needs for one pod; a line of a file, because that is cheap to read. */
export interface Attachment {
  readonly ip: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly bridge: string;
  readonly mtu: number;
}

/** As the plugin's `read` takes it apart. */
export function attachmentLine(attachment: Attachment): string {
  const { ip, prefixLength, gateway, bridge, mtu } = attachment;
  return `${[ip, prefixLength, gateway, bridge, mtu, cableOf(ip), hardwareOf(ip)].join(" ")}\n`;
}

/** The address that a line written by {@link attachmentLine} begins with. */
export function addressInLine(line: string): string {
  return line.split(" ")[0] ?? "";
}

/** The machine's end of a pod's cable: named by the address, so that a stray one tells whose. */
export function cableOf(ip: string): string {
  return `${CABLE_PREFIX}${octetsOf(ip).join("")}`;
}

/**
 * The same address always comes with the same hardware address: neighbours that remember the
 * address's former pod reach the new one.
 */
function hardwareOf(ip: string): string {
  return ["0a", "58", ...octetsOf(ip)].join(":");
}

function octetsOf(ip: string): string[] {
  return ip.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
}

/** The configuration list that a container runtime reads. */
export function pluginConfiguration(): string {
  const plugins = [{ type: PLUGIN_NAME }];
  return `${JSON.stringify({ cniVersion: "0.4.0", name: PLUGIN_NAME, plugins })}\n`;
}

/**
 * The plugin (CNI 0.4.0). What is to be done was decided before and stands in a file of
 * `podsDirectory`, named by the pod's uid; so a shell with two calls of `ip` is enough. A cable
 * goes with its namespace, whoever removes that.
 */
export function pluginScript(podsDirectory: string): string {
  return `#!/bin/sh
# Kubun's CNI plugin: joins a pod's network namespace to the node's bridge.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() {
  why=$(printf %s "$2" | tr -d '"\\\\\\\\' | tr '\\n' ' ')
  printf '{"cniVersion":"0.4.0","code":%s,"msg":"%s"}\\n' "$1" "$why"
  exit 1
}
case \${CNI_COMMAND-} in
  VERSION)
    echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0"]}'
    exit 0 ;;
  CHECK) exit 0 ;;
  DEL)
    # Without the namespace there is no cable either.
    [ -n "\${CNI_NETNS-}" ] && [ -e "$CNI_NETNS" ] || exit 0
    nsenter --net="$CNI_NETNS" ip link del "$CNI_IFNAME" 2>/dev/null
    exit 0 ;;
  ADD) ;;
  *) fail 4 "CNI_COMMAND \${CNI_COMMAND-} is none of ADD, DEL, CHECK, VERSION" ;;
esac
uid=\${CNI_ARGS#*K8S_POD_UID=}
uid=\${uid%%;*}
case $uid in '' | *[!0-9A-Za-z_.-]*) fail 4 "no K8S_POD_UID in CNI_ARGS: $CNI_ARGS" ;; esac
{ read -r ip length gateway bridge mtu cable mac <${quoted(podsDirectory)}/"$uid"; } 2>/dev/null ||
  fail 100 "no address was prepared for pod $uid"
attach() {
  ip -batch - 2>&1 <<END || return
link add $cable mtu $mtu type veth peer name $CNI_IFNAME address $mac mtu $mtu netns $CNI_NETNS
link set $cable master $bridge up
END
  nsenter --net="$CNI_NETNS" ip -batch - 2>&1 <<END
link set lo up
address add $ip/$length dev $CNI_IFNAME
link set $CNI_IFNAME up
route add default via $gateway
END
}
# A cable that an earlier attempt left is in the way once.
said=$(attach) || {
  ip link del "$cable" 2>/dev/null
  said=$(attach) || {
    ip link del "$cable" 2>/dev/null
    fail 101 "$said"
  }
}
cat <<END
{"cniVersion":"0.4.0","interfaces":[{"name":"$cable"},\\
{"name":"$CNI_IFNAME","mac":"$mac","sandbox":"$CNI_NETNS"}],\\
"ips":[{"version":"4","interface":1,"address":"$ip/$length","gateway":"$gateway"}],\\
"routes":[{"dst":"0.0.0.0/0","gw":"$gateway"}],"dns":{}}
END
`;
}

/** A containerd has each sandbox's loopback made by a plugin of this name: ours does it already. */
export function loopbackScript(): string {
  return `#!/bin/sh
case \${CNI_COMMAND-} in
  VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0"]}' ;;
  ADD)
    nsenter --net="$CNI_NETNS" ip link set lo up 2>/dev/null
    echo '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","sandbox":"'"$CNI_NETNS"'"}],'\\
'"ips":[{"version":"4","interface":0,"address":"127.0.0.1/8"}],"dns":{}}' ;;
esac
exit 0
`;
}

/** One word for a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
