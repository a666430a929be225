import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NetworkCommands } from "../runtime/index.ts";

const KERNEL_SETTINGS = "/proc/sys/net";
/** `ip -batch` names the line that failed behind what was wrong with it. */
const MAX_MESSAGE_LENGTH = 512;

/** `ip` and `nft` of this machine, in the network namespace of this process. */
export function createNetworkCommands(): NetworkCommands {
  return {
    obstacle,
    async ip(lines, { keepGoing } = {}) {
      if (lines.length === 0) return;
      const words = keepGoing ? ["-force", "-batch", "-"] : ["-batch", "-"];
      const { exitCode, stderr } = await run(["ip", ...words], `${lines.join("\n")}\n`);
      if (exitCode !== 0 && !keepGoing) throw new Error(`ip: ${stderr}`);
    },
    async ipJson(words) {
      const { exitCode, stdout, stderr } = await run(["ip", "-json", ...words], "");
      if (exitCode !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
      return stdout.trim() === "" ? [] : (JSON.parse(stdout) as unknown[]);
    },
    async nft(script) {
      const { exitCode, stderr } = await run(["nft", "-f", "-"], script);
      if (exitCode !== 0) throw new Error(`nft: ${stderr}`);
    },
    setKernel: (name, value) => writeFileSync(join(KERNEL_SETTINGS, name), value),
    kernel(name) {
      try {
        return readFileSync(join(KERNEL_SETTINGS, name), "utf8").trim();
      } catch {
        return ""; // This kernel has no such setting.
      }
    },
  };
}

function obstacle(): string | undefined {
  if (process.platform !== "linux") return "the machine's network can be changed on Linux only";
  if (process.getuid?.() !== 0) return "changing the machine's network takes root";
  const missing = ["ip", "nft"].filter((tool) => Bun.which(tool) === null);
  const packages = missing.map((tool) => (tool === "ip" ? "iproute2" : "nftables"));
  return missing.length === 0
    ? undefined
    : `${missing.join(" and ")} missing: install ${packages.join(" and ")}`;
}

async function run(
  cmd: readonly string[],
  input: string,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn({
    cmd: [...cmd],
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr: stderr.trim().slice(0, MAX_MESSAGE_LENGTH) };
}
