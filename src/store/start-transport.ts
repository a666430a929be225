import type { Logger } from "../lib/index.ts";
import type { Driver } from "./driver.ts";
import type { GroupOptions } from "./group-options.ts";
import type { SnapshotRoom } from "./snapshot-exchange.ts";

/** From here on messages come, if the store is somebody's peer. */
export async function startTransport(options: {
  readonly group: GroupOptions | undefined;
  readonly driver: Driver;
  readonly snapshots: SnapshotRoom;
  readonly snapshotDirectory: string;
  readonly logger: Logger;
}): Promise<void> {
  const { group, driver, snapshots, snapshotDirectory, logger } = options;
  if (group === undefined) return;
  await group.transport.start(
    {
      onMessages: (from, messages) => {
        const own = messages.every((message) => message.from === from);
        if (own) driver.receive(messages);
        else logger.warn("messages in another member's name were dropped", { from });
      },
      onSnapshot: (from, snapshot) => snapshots.receive(from, snapshot),
      onPeerDown: (peer) => driver.peerDown(peer),
      onPeerUp: () => undefined,
    },
    { snapshotDirectory },
  );
  const { start, self } = group;
  if (start.type !== "join" || start.members === undefined) return;
  const others = start.members.filter((member) => member.id !== self.id);
  group.transport.setPeers(new Map(others.map((member) => [member.id, member.peerAddress])));
}
