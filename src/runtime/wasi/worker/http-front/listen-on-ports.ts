import { rmSync } from "node:fs";
import type { FacadeStatus, WorkerSpec } from "../../worker-protocol.ts";
import { facadeStatus } from "../command-guest.ts";
import type { HttpFront } from "./http-front.ts";

/** Serves a container's ports: the Unix sockets, which must be had, and the facades. */
export function listenOnPorts(front: HttpFront, spec: WorkerSpec): FacadeStatus[] {
  return spec.ports.flatMap(({ port, unixPath, address }) => {
    rmSync(unixPath, { force: true });
    front.listenUnix(unixPath, port);
    if (address === undefined) return [];
    return [facadeStatus(port, () => front.listenTcp(address, port))];
  });
}
