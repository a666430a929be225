import type { Clock } from "../../../lib/index.ts";
import type { CriStreams } from "../cri-streams.ts";
import { openPortStream } from "./port-stream.ts";
import { openStreamSession } from "./stream-session.ts";

/**
 * Streams by way of the streaming server of a container runtime, over SPDY: of what such servers
 * speak, only that can end the input of a program without ending the session.
 */
export function createCriStreams(options: { readonly clock: Clock }): CriStreams {
  return {
    exec: (url, streams) => openStreamSession(url, streams, options),
    attach: (url, streams) => openStreamSession(url, streams, options),
    portForward: (url, port) => openPortStream(url, port, options),
  };
}
