/**
 * A worker that misbehaves as its first argument says: what a healthy one never does, the
 * supervisor must survive all the same. Run as `bun fake-worker.ts CONTROL-SOCKET`.
 */
import { writeFileSync } from "node:fs";
import {
  encodeWorkerMessage,
  parseWorkerRequest,
  type WorkerReply,
  type WorkerSpec,
} from "../worker-protocol.ts";

const [, , controlPath = ""] = process.argv;
const running: { spec?: WorkerSpec } = {};

function start(spec: WorkerSpec, reply: (message: WorkerReply) => void, close: () => void): void {
  running.spec = spec;
  const { containerId } = spec;
  switch (spec.args[0] ?? "") {
    case "hang-up":
      return close();
    case "die-at-start":
      process.stderr.write("the sky fell\n");
      return process.exit(9);
    case "refuse":
      reply({
        type: "failed",
        containerId,
        reason: "ContainerCannotRun",
        message: "no such export",
      });
      process.exit(128);
      break;
    case "turn-away":
      delete running.spec;
      return reply({ type: "error", containerId, message: "this process is about to end" });
    case "drop-control":
      reply({ type: "started", containerId, facade: [] });
      setTimeout(close, 10);
      break;
    default:
      reply({ type: "started", containerId, facade: [] });
  }
}

function stop(): void {
  if (running.spec === undefined || running.spec.args[0] === "deaf") return;
  const finishedAt = "2026-01-01T00:00:00.123456789Z";
  const result = { exitCode: 5, reason: "Error", message: "asked to end", finishedAt };
  writeFileSync(running.spec.resultPath, JSON.stringify(result));
  process.exit(5);
}

Bun.listen({
  unix: controlPath,
  socket: {
    close() {
      if (running.spec === undefined) process.exit(0);
    },
    data(socket, data) {
      for (const line of data.toString().split("\n").filter(Boolean)) {
        const request = parseWorkerRequest(line);
        const reply = (message: WorkerReply): void =>
          void socket.write(encodeWorkerMessage(message));
        const close = (): void => void socket.end();
        if (request.type === "start") start(request.spec, reply, close);
        else if (request.type === "stop") stop();
        else {
          const { containerId } = request;
          const phase = running.spec === undefined ? "absent" : "running";
          const counts = { connections: 0, memoryBytes: 0, cpuNanoseconds: 0 };
          reply({ type: "status", containerId, phase, ...counts, facade: [] });
        }
      }
    },
  },
});
process.on("SIGTERM", () => undefined);
