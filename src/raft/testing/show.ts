import { unreachable } from "../../lib/index.ts";
import { decodeConfigChange } from "../config-codec.ts";
import type { ConfigStep, Configuration, LogEntry, Message } from "../types.ts";
import type { Disk } from "./group.ts";

const decoder = new TextDecoder();

/** `7/2"x"`: index, term, data; a config entry shows its steps, a no-op nothing. */
export function entryText(entry: LogEntry): string {
  const place = `${entry.index}/${entry.term}`;
  if (entry.type === "config") return `${place}[${changeText(entry.data)}]`;
  return entry.data.length === 0 ? place : `${place}"${decoder.decode(entry.data)}"`;
}

function changeText(data: Uint8Array): string {
  const { steps } = decodeConfigChange(data);
  return steps.length === 0 ? "leave" : steps.map(stepText).join("; ");
}

function stepText(step: ConfigStep): string {
  return step.type === "remove" ? `remove ${step.member}` : `add ${step.member} ${step.role}`;
}

export function configurationText(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext, witnesses } = configuration;
  const part = (name: string, members: readonly number[]): string =>
    members.length === 0 ? "" : ` ${name}=${members.join(",")}`;
  return [
    `has voters=${voters.join(",")}`,
    part("outgoing", outgoing),
    part("learners", learners),
    part("learners-next", learnersNext),
    part("witnesses", witnesses),
  ].join("");
}

/** The log by terms: `from 4/2: 2 2 3`. */
export function logText(disk: Disk): string {
  const { index, term } = disk.compacted;
  const start = index === 0 ? "" : `behind ${index}/${term}: `;
  return `${start}${disk.log.map((entry) => entry.term).join(" ")}`;
}

export function messageText(message: Message): string {
  const head = `${message.from}>${message.to} ${message.type} term=${message.term}`;
  return `${head}${bodyText(message)}`;
}

function bodyText(message: Message): string {
  switch (message.type) {
    case "append-request": {
      const { previousIndex, previousTerm, entries, commit, held } = message;
      const list = entries.length === 0 ? "none" : entries.map(entryText).join(" ");
      const heldText = held === 0 ? "" : ` held=${held}`;
      const place = ` behind=${previousIndex}/${previousTerm} commit=${commit}${heldText}`;
      return `${place} entries: ${list}`;
    }
    case "append-response": {
      const { index, refused } = message;
      if (refused === undefined) return ` has=${index}`;
      const why = message.blank === true ? " blank" : message.lost === true ? " lost" : "";
      return ` refused=${index} hint=${refused.hintIndex}/${refused.hintTerm}${why}`;
    }
    case "heartbeat": {
      const context = message.context === 0 ? "" : ` round=${message.context}`;
      const held = message.held === 0 ? "" : ` held=${message.held}`;
      return ` commit=${message.commit}${context}${held}`;
    }
    case "heartbeat-response":
      return message.context === 0 ? "" : ` round=${message.context}`;
    case "vote-request":
    case "pre-vote-request": {
      const transfer = message.transfer ? " transfer" : "";
      return ` last=${message.lastIndex}/${message.lastTerm}${transfer}`;
    }
    case "vote-response":
    case "pre-vote-response":
      return message.granted ? " granted" : " refused";
    case "install-snapshot":
      return ` state at ${message.snapshot.index}/${message.snapshot.term}`;
    case "timeout-now":
    case "read-index-request":
      return "";
    case "read-index-response":
      return ` index=${message.index}`;
    default:
      return unreachable(message);
  }
}
