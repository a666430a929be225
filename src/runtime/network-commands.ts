/** How the machine's network is looked at and changed; implemented in `src/os`. */
export interface NetworkCommands {
  /** Why it cannot be changed here, in words for a user; undefined when it can. */
  obstacle(): string | undefined;
  /**
   * Does these lines of `ip` in one process; the first that fails ends it. Rejects with what `ip`
   * said. With `keepGoing` every line is tried, and none may fail the call.
   */
  ip(lines: readonly string[], options?: { readonly keepGoing?: true }): Promise<void>;
  /** What `ip -json` answers to these words; an empty list where it says nothing. */
  ipJson(words: readonly string[]): Promise<readonly unknown[]>;
  /** Applies a script of nft as a whole or not at all. Rejects with what `nft` said. */
  nft(script: string): Promise<void>;
  /** Sets a value below /proc/sys/net, such as `ipv4/ip_forward`. */
  setKernel(name: string, value: string): void;
  /** Reads one; `""` where there is none. */
  kernel(name: string): string;
}
