import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Lets a successor listen where this process listens, and then leads whoever comes to it. Both are
 * options of sockets that the kernel reads anew for each bind and each connection, so that ports
 * stay exclusive until somebody is to succeed.
 */
export interface SharedPorts {
  /**
   * From now on another process of this user may listen on each port that this one listens on.
   * Gives how many sockets there are.
   */
  share(): number;
  /**
   * Leads new connections and datagrams to who came second to a port, where somebody did. What is
   * already on its way to this process (a handshake, a place in the queue) still comes here.
   */
  leadToSuccessor(): void;
}

/** asm-generic/socket.h, as on x86-64 and arm64. */
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** BPF_RET | BPF_K: the program's answer is its constant. */
const RETURN_CONSTANT = 0x06;
/**
 * Sockets of a port are numbered in the order of their coming, and the first takes no number away
 * before it closes. A number that nobody has means: by chance among those that are there.
 */
const SUCCESSOR = 1;

/** Of /proc/net/tcp: TCP_LISTEN, and of /proc/net/udp: bound to a port and connected to nobody. */
const TABLES = [
  { path: "/proc/self/net/tcp", state: "0A" },
  { path: "/proc/self/net/tcp6", state: "0A" },
  { path: "/proc/self/net/udp", state: "07" },
  { path: "/proc/self/net/udp6", state: "07" },
];
const STATE_FIELD = 3;
const INODE_FIELD = 9;

type SetOption = (descriptor: number, name: number, value: Int32Array | Uint8Array) => void;

/** Undefined where the C library cannot be called, or there is no /proc. */
export function openSharedPorts(): SharedPorts | undefined {
  const setOption = openSetOption();
  if (setOption === undefined) return undefined;
  return {
    share() {
      const sockets = listeningSockets();
      for (const socket of sockets) setOption(socket, SO_REUSEPORT, new Int32Array([1]));
      return sockets.length;
    },
    leadToSuccessor() {
      // struct sock_filter and, with a pointer to it, struct sock_fprog.
      const filter = new Uint8Array(8);
      new DataView(filter.buffer).setUint16(0, RETURN_CONSTANT, true);
      new DataView(filter.buffer).setUint32(4, SUCCESSOR, true);
      const program = new Uint8Array(16);
      new DataView(program.buffer).setUint16(0, 1, true);
      new DataView(program.buffer).setBigUint64(8, BigInt(ptr(filter)), true);
      // Where nobody came the kernel refuses, and there is nobody to be led to.
      for (const socket of listeningSockets()) {
        setOption(socket, SO_ATTACH_REUSEPORT_CBPF, program);
      }
    },
  };
}

const MACHINE = process.arch === "x64" ? "x86_64" : "aarch64";

function openSetOption(): SetOption | undefined {
  for (const name of ["libc.so.6", `libc.musl-${MACHINE}.so.1`]) {
    try {
      const { symbols } = dlopen(name, {
        setsockopt: {
          args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
          returns: FFIType.i32,
        },
      });
      return (descriptor, option, value) => {
        symbols.setsockopt(descriptor, SOL_SOCKET, option, value, value.byteLength);
      };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return undefined;
}

/** Descriptors of this process that take connections or datagrams, whoever opened them. */
function listeningSockets(): number[] {
  const inodes = new Set(TABLES.flatMap(inodesIn));
  return readdirSync("/proc/self/fd")
    .filter((name) => inodes.has(inodeOf(name) ?? ""))
    .map(Number);
}

function inodesIn({ path, state }: (typeof TABLES)[number]): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return []; // A machine without IPv6 has no such table.
  }
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[STATE_FIELD] === state)
    .map((fields) => fields[INODE_FIELD] ?? "");
}

function inodeOf(descriptor: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1];
  } catch {
    return undefined; // Closed meanwhile, as the one by which the folder was read.
  }
}
