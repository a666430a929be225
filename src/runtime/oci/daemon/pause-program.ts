/**
 * The program that holds a pod's namespaces: it waits for signals, ends on SIGTERM and SIGINT, and
 * buries the processes of containers that share its process table. All three signals are blocked,
 * because a signal that the first process of a namespace neither blocks nor handles is dropped.
 *
 *     rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
 *     wait:  n = rt_sigtimedwait(set, NULL, NULL, 8)
 *            if n == SIGCHLD: until wait4(-1, NULL, WNOHANG, NULL) <= 0; goto wait
 *            if n < 0: goto wait
 *     exit(0)
 *     set:   SIGINT | SIGTERM | SIGCHLD
 *
 * Machine code as an assembler makes it of that: `as` is on no machine where pods merely run.
 */
const MACHINES = {
  amd64: {
    elfMachine: 62,
    code:
      "b80e00000031ff488d355200000031d241ba080000000f05" +
      "b880000000488d3d3c00000031f631d241ba080000000f0583f811751e" +
      "b83d00000048c7c7ffffffff31f6ba010000004531d20f0585c07fe4ebc5" +
      "85c078c1b83c00000031ff0f050240010000000000",
  },
  arm64: {
    elfMachine: 183,
    code:
      "000080d261030010020080d2030180d2e81080d2010000d4" +
      "c0020010010080d2020080d2030180d2281180d2010000d41f44007141010054" +
      "00008092010080d2220080d2030080d2882080d2010000d41f0000712cffff54f0ffff17" +
      "e0fdff37000080d2a80b80d2010000d41f2003d50240010000000000",
  },
} as const;

export type PauseArchitecture = keyof typeof MACHINES;

/** The architecture as images name it; undefined when we have no program for it. */
export function pauseArchitecture(nodeArchitecture: string): PauseArchitecture | undefined {
  if (nodeArchitecture === "x64") return "amd64";
  return nodeArchitecture === "arm64" ? "arm64" : undefined;
}

const HEADER_BYTES = 64;
const SEGMENT_HEADER_BYTES = 56;
const LOAD_ADDRESS = 0x40_0000n;
/** The largest page of any arm64 kernel. */
const ALIGNMENT = 0x1_0000n;
const EXECUTABLE_FILE = 2;
const LOADED_SEGMENT = 1;
const READ_AND_EXECUTE = 5;

/** A static ELF file: one segment, which is the whole file, with the code behind the headers. */
export function pauseProgram(architecture: PauseArchitecture): Uint8Array {
  const { elfMachine, code } = MACHINES[architecture];
  const instructions = Buffer.from(code, "hex");
  const start = HEADER_BYTES + SEGMENT_HEADER_BYTES;
  const file = Buffer.alloc(start + instructions.length);
  // Magic, 64 bits, little-endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(EXECUTABLE_FILE, 16);
  file.writeUInt16LE(elfMachine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(LOAD_ADDRESS + BigInt(start), 24);
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  file.writeUInt16LE(HEADER_BYTES, 52);
  file.writeUInt16LE(SEGMENT_HEADER_BYTES, 54);
  file.writeUInt16LE(1, 56);
  const segment = HEADER_BYTES;
  file.writeUInt32LE(LOADED_SEGMENT, segment);
  file.writeUInt32LE(READ_AND_EXECUTE, segment + 4);
  file.writeBigUInt64LE(LOAD_ADDRESS, segment + 16);
  file.writeBigUInt64LE(LOAD_ADDRESS, segment + 24);
  file.writeBigUInt64LE(BigInt(file.length), segment + 32);
  file.writeBigUInt64LE(BigInt(file.length), segment + 40);
  file.writeBigUInt64LE(ALIGNMENT, segment + 48);
  file.set(instructions, start);
  return file;
}
