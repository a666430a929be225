import type { Clock } from "../../../lib/index.ts";
import type { StreamSession } from "../../runtime.ts";
import type { CriStreams } from "../cri-streams.ts";
import { machineProcesses, processesOfExec, type ProcessTable } from "./exec-reaper.ts";
import { openPortStream } from "./port-stream.ts";
import { openStreamSession } from "./stream-session.ts";

/** A session may be cut while its program is on its way to begin. */
const LOOK_AGAIN_MS = [100, 400, 1500];

/**
 * Streams by way of the streaming server of a container runtime, over SPDY: of what such servers
 * speak, only that can end the input of a program without ending the session.
 */
export function createCriStreams(options: {
  readonly clock: Clock;
  readonly processes?: ProcessTable;
}): CriStreams {
  const processes = options.processes ?? machineProcesses();
  return {
    async exec(url, streams, containerId) {
      const sinceTicks = processes.nowTicks();
      const session = await openStreamSession(url, streams, options);
      const { command } = streams;
      return killedWhenCut(session, () => {
        const untilTicks = processes.nowTicks();
        const kill = (delays: readonly number[]): void => {
          const all = processes.inContainer(containerId);
          const found = processesOfExec(all, { command, sinceTicks, untilTicks });
          for (const each of found) processes.kill(each);
          const [next, ...later] = delays;
          if (found.length > 0 || next === undefined) return;
          options.clock.after(next, () => kill(later));
        };
        kill(LOOK_AGAIN_MS);
      });
    },
    attach: (url, streams) => openStreamSession(url, streams, options),
    portForward: (url, port) => openPortStream(url, port, options),
  };
}

/** The session, whose program does not outlive it. */
function killedWhenCut(session: StreamSession, kill: () => void): StreamSession {
  let over = false;
  void session.ended.then(() => (over = true));
  const { stdin, stdout, stderr, ended } = session;
  return {
    ...(stdin === undefined ? {} : { stdin }),
    ...(stdout === undefined ? {} : { stdout }),
    ...(stderr === undefined ? {} : { stderr }),
    ended,
    resize: (size) => session.resize(size),
    close() {
      if (!over) kill();
      over = true;
      session.close();
    },
  };
}
