import { readFileSync } from "node:fs";
import { type BuiltImage, buildImage, file } from "../daemon/image-archive.ts";
import { pauseArchitecture } from "../daemon/pause-program.ts";

export const BUSYBOX = "/bin/busybox";

const APPLETS = [
  "sh",
  "httpd",
  "cat",
  "sleep",
  "kill",
  "echo",
  "tr",
  "grep",
  "printf",
  "ls",
  "id",
  "nc",
];

/**
 * The first process of a namespace gets only the signals that it asked for, so it says what SIGTERM
 * means. `/exit` leaves the code in a file and wakes it.
 */
const SERVER = `#!/bin/sh
echo "listening on \${PORT:-8080}"
trap 'exit 143' TERM
trap 'exit $(cat /tmp/code)' USR1
httpd -f -p "\${PORT:-8080}" -h /www &
while :; do wait; done
`;

const PAGES: Readonly<Record<string, string>> = {
  exit: 'echo "${QUERY_STRING#code=}" > /tmp/code; { sleep 0.1; kill -USR1 1; } >/dev/null 2>&1 &',
  // httpd hides its own environment from the pages.
  env: "tr '\\0' '\\n' < /proc/1/environ | grep \"^${QUERY_STRING#name=}=\"",
  file: 'cat "${QUERY_STRING#path=}"',
  healthz: "echo ok",
};

function script(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function page(commands: string): Uint8Array {
  return script(`#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n${commands}\n`);
}

/** An image on the machine's own static busybox that runs `entrypoint`. */
export function busyboxImage(name: string, entrypoint: readonly string[]): Promise<BuiltImage> {
  const links = APPLETS.map((applet) => ({
    header: {
      name: `bin/${applet}`,
      type: "symlink" as const,
      linkname: "busybox",
      size: 0,
      mode: 0o777,
      mtime: new Date(0),
    },
  }));
  const directories = ["bin", "tmp", "www", "www/cgi-bin"].map((directory) => ({
    header: {
      name: `${directory}/`,
      type: "directory" as const,
      size: 0,
      mode: directory === "tmp" ? 0o1777 : 0o755,
      mtime: new Date(0),
    },
  }));
  return buildImage({
    name,
    architecture: pauseArchitecture(process.arch) ?? "amd64",
    files: [
      ...directories,
      file("bin/busybox", readFileSync(BUSYBOX), 0o755),
      ...links,
      file("bin/server", script(SERVER), 0o755),
      ...Object.entries(PAGES).map(([path, text]) =>
        file(`www/cgi-bin/${path}`, page(text), 0o755),
      ),
    ],
    config: { Entrypoint: entrypoint, Env: ["PATH=/bin"], WorkingDir: "/" },
  });
}
