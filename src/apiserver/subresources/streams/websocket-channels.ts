import { CHANNEL, type Clock } from "../../../lib/index.ts";
import { type ChannelClient, ChannelRelay } from "./channel-relay.ts";
import type { MessageSession, MessageSocket } from "./connection-upgrade.ts";
import type { NodeStream } from "./node-stream.ts";

/**
 * Subprotocols of WebSockets to programs, the best one first. Each message begins with the number
 * of its channel; v5 can end the input of a program, v4 cannot.
 */
export const CHANNEL_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const NORMAL_CLOSURE = 1000;
const PROTOCOL_ERROR = 1002;
const TOO_MUCH = 1009;

/** Serves `kubectl exec` and `attach` over a WebSocket. */
export function serveWebSocketChannels(
  socket: MessageSocket,
  node: NodeStream,
  { protocol, clock }: { readonly protocol: string; readonly clock: Clock },
): MessageSession {
  let room: PromiseWithResolvers<void> | undefined;
  const client: ChannelClient = {
    send(channel, payload) {
      const message = new Uint8Array(payload.length + 1);
      message[0] = channel;
      message.set(payload, 1);
      if (!socket.send(message)) room ??= Promise.withResolvers();
      return room?.promise;
    },
    finish: () => socket.close(NORMAL_CLOSURE, ""),
    refuse: (reason) => socket.close(TOO_MUCH, reason),
    pause: () => socket.pause?.(),
    resume: () => socket.resume?.(),
  };
  const relay = new ChannelRelay(node, client, clock);
  // Clients may wait for a first message to know that the way is open.
  void client.send(CHANNEL.stdout, new Uint8Array());
  void relay.run();
  return {
    message(bytes) {
      const channel = bytes[0];
      if (channel === undefined) return;
      if (mayCome(channel, bytes, protocol)) return relay.incoming(channel, bytes.subarray(1));
      relay.left();
      socket.close(PROTOCOL_ERROR, `channel ${channel} is not the client's`);
    },
    drained() {
      room?.resolve();
      room = undefined;
    },
    closed() {
      relay.left();
      room?.resolve();
    },
  };
}

function mayCome(channel: number, message: Uint8Array, protocol: string): boolean {
  if (channel === CHANNEL.stdin || channel === CHANNEL.resize) return true;
  if (channel !== CHANNEL.close || protocol !== CHANNEL_PROTOCOLS[0]) return false;
  // Only the input can be ended by itself; that resizing is over says nothing new.
  return message[1] === CHANNEL.stdin || message[1] === CHANNEL.resize;
}
