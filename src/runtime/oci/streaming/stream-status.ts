import { z } from "zod";
import type { StreamOutcome } from "../../runtime.ts";

/** As much of a Status as tells how a program ended. */
const statusSchema = z.object({
  status: z.string().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({
      causes: z
        .array(z.object({ reason: z.string().optional(), message: z.string().optional() }))
        .optional(),
    })
    .optional(),
});

/** What the error stream of protocol v4 says when everything is over. */
export function outcomeOf(text: string): StreamOutcome {
  // Nothing at all: the program's streams ended, and how is not known here (attach).
  if (text.trim() === "") return { type: "exited", exitCode: 0 };
  const parsed = statusSchema.safeParse(jsonOf(text));
  if (!parsed.success) return { type: "failed", message: text.trim() };
  const { status, message = "unknown", reason, details } = parsed.data;
  if (status === "Success") return { type: "exited", exitCode: 0 };
  const code = details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  if (reason === "NonZeroExitCode" && code !== undefined && /^\d+$/.test(code)) {
    return { type: "exited", exitCode: Number(code) };
  }
  // The cause is the message without the words that every such Status begins with.
  return { type: "failed", message: details?.causes?.[0]?.message ?? message };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
