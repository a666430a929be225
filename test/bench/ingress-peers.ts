import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../harness/free-port.ts";

/** nginx and HAProxy in front of one upstream, each with one worker and kept connections. */
export interface IngressPeers {
  readonly nginx: Peer;
  /** Balances HTTP requests, as an Ingress does. */
  readonly haproxyHttp: Peer;
  /** Passes connections on as they come, as a NodePort does. */
  readonly haproxyTcp: Peer;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Peer {
  readonly url: string;
  readonly pid: number;
}

/** Starts both; their files are put into `directory`, which the caller removes. */
export function startIngressPeers(directory: string, upstream: string): IngressPeers {
  const [nginxPort, httpPort, tcpPort] = [freePort(), freePort(), freePort()];
  const nginxConfig = join(directory, "nginx.conf");
  const haproxyConfig = join(directory, "haproxy.cfg");
  writeFileSync(nginxConfig, nginxText(directory, nginxPort, upstream));
  writeFileSync(haproxyConfig, haproxyText(httpPort, tcpPort, upstream));
  const errors = join(directory, "e.log");
  const quiet = { stdin: "ignore", stdout: "ignore", stderr: "inherit" } as const;
  const nginx = Bun.spawn(["nginx", "-p", directory, "-c", nginxConfig, "-e", errors], quiet);
  const haproxy = Bun.spawn(["haproxy", "-db", "-f", haproxyConfig], quiet);
  const peer = (port: number, { pid }: { readonly pid: number }): Peer => ({
    url: `http://127.0.0.1:${port}/`,
    pid,
  });
  return {
    nginx: peer(nginxPort, nginx),
    haproxyHttp: peer(httpPort, haproxy),
    haproxyTcp: peer(tcpPort, haproxy),
    async [Symbol.asyncDispose]() {
      for (const child of [nginx, haproxy]) {
        child.kill();
        await child.exited;
      }
    },
  };
}

/** No master process, so that the one that is started is the one that works. */
function nginxText(directory: string, port: number, upstream: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(" ");
  return `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    master_process off;
    worker_processes 1; daemon off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
    events { worker_connections 1024; }
    http {
      access_log off; ${paths}
      upstream backend { server ${upstream}; keepalive 128; keepalive_requests 1000000000; }
      server {
        listen 127.0.0.1:${port};
        keepalive_requests 1000000000;
        location / {
          proxy_pass http://backend;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $host;
          proxy_set_header X-Real-Ip $remote_addr;
          proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Forwarded-Host $host;
        }
      }
    }`;
}

/** The same fields of the request are added as by nginx; one thread is its one worker. */
function haproxyText(httpPort: number, tcpPort: number, upstream: string): string {
  return `
global
  nbthread 1
  maxconn 2048
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend http
  mode http
  bind 127.0.0.1:${httpPort}
  option http-keep-alive
  option forwardfor
  http-request set-header X-Real-Ip %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend http
backend http
  mode http
  http-reuse always
  server pod ${upstream}
frontend tcp
  mode tcp
  bind 127.0.0.1:${tcpPort}
  default_backend tcp
backend tcp
  mode tcp
  server pod ${upstream}
`;
}
