import { ProcExit } from "../host/errno.ts";
import type { InstanceContext, Interfaces } from "./instance-context.ts";
import { emptySource, InputStream } from "./io/input-stream.ts";
import type { InstanceScope } from "./io/instance-scope.ts";
import { LogSink } from "./io/log-sink.ts";
import { OutputStream } from "./io/output-stream.ts";
import { Resource } from "./io/resource.ts";

/** A container has no terminal, so nobody ever holds one of these. */
class TerminalInput extends Resource {}
class TerminalOutput extends Resource {}

/** The interfaces of wasi:cli. */
export function cliInterfaces({ scope, options }: InstanceContext): Interfaces {
  const stdout = new LogSink(options.stdout);
  const stderr = new LogSink(options.stderr);
  return {
    "wasi:cli/environment": {
      getEnvironment: () => options.env.map(([name, value]) => [name, value]),
      getArguments: () => [...options.args],
      initialCwd: () => undefined,
    },
    "wasi:cli/exit": {
      exit: (status: { readonly tag: "ok" | "err" }) => exitWith(status.tag === "ok" ? 0 : 1),
      exitWithCode: (code: number) => exitWith(code),
    },
    "wasi:cli/stdin": { getStdin: () => new InputStream(scope, emptySource), InputStream },
    "wasi:cli/stdout": { getStdout: () => logStream(scope, stdout), OutputStream },
    "wasi:cli/stderr": { getStderr: () => logStream(scope, stderr), OutputStream },
    "wasi:cli/terminal-input": { TerminalInput },
    "wasi:cli/terminal-output": { TerminalOutput },
    "wasi:cli/terminal-stdin": { getTerminalStdin: () => undefined, TerminalInput },
    "wasi:cli/terminal-stdout": { getTerminalStdout: () => undefined, TerminalOutput },
    "wasi:cli/terminal-stderr": { getTerminalStderr: () => undefined, TerminalOutput },
  };
}

/** All streams of one instance share a sink: what is pending on one is pending on all. */
function logStream(scope: InstanceScope, sink: LogSink): OutputStream {
  return new OutputStream(scope, sink);
}

function exitWith(code: number): never {
  throw new ProcExit(code);
}
