import { rmSync } from "node:fs";
import { processStartTime } from "../os/index.ts";
import { writeServerRecord } from "./data-directory.ts";
import type { ServerRecord, Settings } from "./data-directory.ts";
import type { Ground } from "./ground.ts";
import type { ProxyPorts } from "../proxy/index.ts";
import { VERSION } from "./version.ts";

/** Tells other commands on this machine which process has the data directory, and its addresses. */
export function recordProcess(
  { directory, clock }: Pick<Ground, "directory" | "clock">,
  where: Pick<ServerRecord, "server" | "ingress" | "ingressHttps" | "dns">,
): ServerRecord {
  const record: ServerRecord = {
    pid: process.pid,
    startTime: processStartTime(process.pid) ?? "",
    version: VERSION,
    ...where,
    startedAt: new Date(clock.now()).toISOString(),
  };
  writeServerRecord(directory, record);
  return record;
}

/** At an orderly end. */
export function removeRecord({ directory }: Pick<Ground, "directory">): void {
  rmSync(directory.serverRecord, { force: true });
}

/** Where a node's proxy is reached, for the record. */
export function proxyUrls(
  address: string,
  { ingressPort, ingressTlsPort }: ProxyPorts,
): Pick<ServerRecord, "ingress" | "ingressHttps"> {
  const ingress = `http://${address}:${ingressPort}`;
  if (ingressTlsPort === undefined) return { ingress };
  return { ingress, ingressHttps: `https://${address}:${ingressTlsPort}` };
}

/** The ports that the next start prefers. */
export function proxySettings({ ingressPort, ingressTlsPort }: ProxyPorts): Partial<Settings> {
  const https = ingressTlsPort === undefined ? {} : { ingressHttpsPort: ingressTlsPort };
  return { httpPort: ingressPort, ...https };
}
