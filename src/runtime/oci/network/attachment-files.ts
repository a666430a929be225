import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { SandboxKey } from "../pod-networks.ts";
import {
  addressInLine,
  type Attachment,
  attachmentLine,
  loopbackScript,
  PLUGIN_NAME,
  pluginConfiguration,
  pluginScript,
} from "./cni-plugin.ts";

/** What was given to sandboxes, as it stands on disk. */
export interface Reservation {
  readonly key: SandboxKey;
  readonly ip: string;
}

/**
 * The directory that holds the plugin, and for each sandbox what it was given:
 * `sandboxes/<uid>_<attempt>`. What the plugin reads is `pods/<uid>`, of the last attempt. Files
 * are whole or not there, and need no sync: after a power cut no pod is left.
 */
export class AttachmentFiles {
  readonly pluginDirectory: string;
  readonly configDirectory: string;
  readonly #pods: string;
  readonly #sandboxes: string;

  constructor(directory: string) {
    this.pluginDirectory = join(directory, "plugins");
    this.configDirectory = join(directory, "config");
    this.#pods = join(directory, "pods");
    this.#sandboxes = join(directory, "sandboxes");
  }

  /** Writes the plugin and its configuration; makes what is missing. */
  open(): void {
    const { pluginDirectory, configDirectory } = this;
    for (const path of [pluginDirectory, configDirectory, this.#pods, this.#sandboxes]) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    }
    replace(join(configDirectory, "10-kubun.conflist"), pluginConfiguration());
    replace(join(pluginDirectory, PLUGIN_NAME), pluginScript(this.#pods), 0o700);
    replace(join(pluginDirectory, "loopback"), loopbackScript(), 0o700);
  }

  save(key: SandboxKey, attachment: Attachment): void {
    const line = attachmentLine(attachment);
    mkdirSync(this.#sandboxes, { recursive: true, mode: 0o700 });
    mkdirSync(this.#pods, { recursive: true, mode: 0o700 });
    // In this order, so that an address which a pod may have is always known.
    replace(join(this.#sandboxes, nameOf(key)), line);
    replace(join(this.#pods, key.uid), line);
  }

  remove(key: SandboxKey): void {
    const pod = join(this.#pods, key.uid);
    const path = join(this.#sandboxes, nameOf(key));
    // The pod's next attempt may have its own already.
    if (read(pod) === read(path)) rmSync(pod, { force: true });
    rmSync(path, { force: true });
  }

  load(): Reservation[] {
    return list(this.#sandboxes).flatMap((name) => {
      const ip = addressInLine(read(join(this.#sandboxes, name)));
      const key = keyIn(name);
      if (key !== undefined && ip !== "") return [{ key, ip }];
      rmSync(join(this.#sandboxes, name), { force: true });
      return [];
    });
  }

  /** Removes what the plugin would read for pods that have no sandbox. */
  sweep(uids: ReadonlySet<string>): void {
    for (const name of list(this.#pods)) {
      if (!uids.has(name)) rmSync(join(this.#pods, name), { force: true });
    }
  }
}

function nameOf({ uid, attempt }: SandboxKey): string {
  return `${uid}_${attempt}`;
}

function keyIn(name: string): SandboxKey | undefined {
  const [, uid = "", attempt = ""] = /^(.+)_(\d+)$/.exec(name) ?? [];
  return uid === "" ? undefined : { uid, attempt: Number(attempt) };
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // Not made yet.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return ""; // Not written, or removed.
  }
}

function replace(path: string, content: string, mode = 0o600): void {
  if (read(path) === content.trim()) return;
  writeFileSync(`${path}.tmp`, content, { mode });
  chmodSync(`${path}.tmp`, mode);
  renameSync(`${path}.tmp`, path);
}
