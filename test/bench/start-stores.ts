import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  createCertificateRequest,
  createPrivateKey,
  issueMemberCertificate,
} from "../../src/os/certificate-requests.ts";
import { createCertificateAuthority } from "../../src/os/certificates.ts";
import type { KeyPair } from "../../src/os/index.ts";
import type { Member, MemberId } from "../../src/store/index.ts";
import { freePort } from "../harness/free-port.ts";
import { temporaryDirectory } from "../harness/spawned-server.ts";

export interface StoreServerOptions {
  readonly directory: string;
  readonly self: Member;
  readonly founder: boolean;
  readonly members: readonly Member[];
  /** PEM. */
  readonly ca: string;
  readonly keyPair: KeyPair;
}

export interface StoreGroup {
  readonly pids: readonly number[];
  /** The leader's first. */
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

interface StartedStore {
  readonly child: Bun.Subprocess;
  readonly directory: string;
  readonly url: string;
}

/** Starts a group of stores, each a process with a bare front; the founder leads. */
export async function startStores(count: number): Promise<StoreGroup> {
  const ca = await createCertificateAuthority(Date.now());
  const members = Array.from({ length: count }, (_, index): Member => {
    const role = index === 0 ? "voter" : "learner";
    const peerAddress = `127.0.0.1:${freePort()}`;
    const id = (index + 1) as MemberId;
    return { id, name: `store-${id}`, role, peerAddress, apiAddress: "" };
  });
  const started: StartedStore[] = [];
  for (const [index, self] of members.entries()) {
    const directory = temporaryDirectory();
    const options: StoreServerOptions = {
      directory,
      self,
      founder: index === 0,
      members: members.slice(0, index + 1),
      ca: ca.certificate,
      keyPair: await memberKeys(ca, self.id),
    };
    const script = join(import.meta.dir, "store-server.ts");
    const child = Bun.spawn([process.execPath, script, JSON.stringify(options)], {
      stdout: "pipe",
    });
    const leader = started[0];
    // A member is admitted before it starts, as by `--join`; it votes when it has caught up.
    const admitted = leader === undefined ? undefined : admit(leader.url, self);
    const { value } = await child.stdout.getReader().read();
    await admitted;
    started.push({ child, directory, url: new TextDecoder().decode(value).trim() });
  }
  return {
    pids: started.map(({ child }) => child.pid),
    urls: started.map(({ url }) => url),
    async stop() {
      for (const { child, directory } of started) {
        child.kill("SIGKILL");
        await child.exited;
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

async function admit(leaderUrl: string, member: Member): Promise<void> {
  const response = await fetch(`${leaderUrl}members`, {
    method: "POST",
    body: JSON.stringify(member),
    tls: { rejectUnauthorized: false },
  });
  if (!response.ok) throw new Error(`${member.name} was not admitted: ${await response.text()}`);
}

async function memberKeys(ca: KeyPair, id: number): Promise<KeyPair> {
  const privateKey = await createPrivateKey();
  const request = await createCertificateRequest(privateKey, { commonName: "bench" });
  const options = { names: ["127.0.0.1"], nowMs: Date.now() };
  return { privateKey, certificate: await issueMemberCertificate(ca, request, id, options) };
}
