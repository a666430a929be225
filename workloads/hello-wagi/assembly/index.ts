// hello-wagi: a CGI program. Kubun runs it anew for each request (RuntimeClass wagi): the request
// is in the environment and on standard input, the response goes to standard output.

const buffer = new ArrayBuffer(16 * 1024);

function variable(name: string, otherwise: string): string {
  return process.env.has(name) ? process.env.get(name) : otherwise;
}

function respond(status: string, contentType: string, body: string): void {
  process.stdout.write("Status: " + status + "\nContent-Type: " + contentType + "\n\n" + body);
}

function text(status: string, body: string): void {
  respond(status, "text/plain; charset=utf-8", body);
}

/** The decoded value of a query parameter; empty when it is missing. */
function parameter(name: string): string {
  const pairs = variable("QUERY_STRING", "").split("&");
  for (let i = 0; i < pairs.length; i++) {
    if (pairs[i].startsWith(name + "=")) {
      return decodeURIComponent(pairs[i].substring(name.length + 1));
    }
  }
  return "";
}

function greet(): void {
  const greeting = variable("GREETING", "Hello from Kubun");
  const pod = variable("POD_NAME", variable("HOSTNAME", ""));
  text("200 OK", greeting + (pod == "" ? "" : ", this is " + pod) + "\n");
}

/** Sends the body back as it comes. */
function echo(): void {
  const type = variable("CONTENT_TYPE", "application/octet-stream");
  process.stdout.write("Content-Type: " + type + "\n\n");
  for (let count = process.stdin.read(buffer); count > 0; count = process.stdin.read(buffer)) {
    process.stdout.write(count == buffer.byteLength ? buffer : buffer.slice(0, <i32>count));
  }
}

/** What the program was told of the request, one variable a line. */
function environment(): void {
  const name = parameter("name");
  if (name != "") {
    if (process.env.has(name)) text("200 OK", process.env.get(name));
    else text("404 Not Found", "no such variable\n");
    return;
  }
  const names = process.env.keys();
  let body = "";
  for (let i = 0; i < names.length; i++) {
    body += names[i] + "=" + process.env.get(names[i]) + "\n";
  }
  text("200 OK", body);
}

const path = variable("PATH_INFO", "/");
// Probes would drown the log.
if (path != "/healthz") {
  process.stderr.write(variable("REQUEST_METHOD", "GET") + " " + path + "\n");
}
if (path == "/") greet();
else if (path == "/healthz") text("200 OK", "ok\n");
else if (path == "/env") environment();
else if (path == "/echo") echo();
else if (path == "/redirect") process.stdout.write("Location: /\n\n");
else if (path == "/fail") {
  process.stderr.write("hello-wagi: told to fail\n");
  process.exit(3);
} else if (path == "/trap") unreachable();
else text("404 Not Found", "not found\n");
