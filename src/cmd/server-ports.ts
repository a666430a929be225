import type { ServerFlags } from "../cli/index.ts";
import type { Settings } from "./data-directory.ts";
import { chooseFreePort } from "./listeners.ts";
import type { PortChoice } from "./listeners.ts";

const DEFAULT_HTTPS_PORT = 6443;
const DEFAULT_HTTP_PORT = 8080;
const DEFAULT_INGRESS_HTTPS_PORT = 8443;
const DEFAULT_PEER_PORT = 10_250;

/** Where a process is to listen; each by a flag, or as before, or as is usual. */
export interface PortChoices {
  readonly https: PortChoice;
  readonly http: PortChoice;
  readonly ingressHttps: PortChoice;
  readonly peer: PortChoice;
}

export function portChoices(
  flags: Pick<ServerFlags, "httpsPort" | "httpPort" | "ingressHttpsPort" | "peerPort">,
  settings: Settings,
): PortChoices {
  const { httpsPort, httpPort, ingressHttpsPort, peerPort } = settings;
  // Who takes any port for the one takes any for the other.
  const usualHttps = flags.httpPort === 0 ? 0 : DEFAULT_INGRESS_HTTPS_PORT;
  return {
    https: choice("--https-port", flags.httpsPort, httpsPort, DEFAULT_HTTPS_PORT),
    http: choice("--http-port", flags.httpPort, httpPort, DEFAULT_HTTP_PORT),
    ingressHttps: choice(
      "--ingress-https-port",
      flags.ingressHttpsPort,
      ingressHttpsPort,
      usualHttps,
    ),
    peer: choice("--peer-port", flags.peerPort, peerPort, DEFAULT_PEER_PORT),
  };
}

/** The choice made now, for what has to be told to others before anything listens. */
export function decided(hostname: string, wish: PortChoice, flag: string): PortChoice {
  return { type: "given", port: chooseFreePort(hostname, wish), flag };
}

function choice(
  flag: string,
  given: number | undefined,
  former: number | undefined,
  usual: number,
): PortChoice {
  if (given !== undefined && given !== 0) return { type: "given", port: given, flag };
  // What was picked once stays, because others may know it.
  return { type: "preferred", port: former ?? (given === 0 ? 0 : usual) };
}
