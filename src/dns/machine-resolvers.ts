import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { Upstream } from "./forwarder.ts";

const RESOLV_CONF = "/etc/resolv.conf";
const DNS_PORT = 53;

/** The resolvers that this machine asks, read anew each time: networks come and go. */
export function machineResolvers(path = RESOLV_CONF): readonly Upstream[] {
  return existsSync(path) ? parseResolvers(readFileSync(path, "utf8")) : [];
}

/** The `nameserver` lines of a resolv.conf. */
export function parseResolvers(text: string): readonly Upstream[] {
  return text.split("\n").flatMap((line) => {
    const [word, address = ""] = line.trim().split(/\s+/);
    return word === "nameserver" && isIP(address) !== 0 ? [{ address, port: DNS_PORT }] : [];
  });
}
