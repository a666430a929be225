// A component in C that answers HTTP requests: wasi:http/incoming-handler, nothing else.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../wasi-http-c/wasi-http.h"

#define TEXT "text/plain; charset=utf-8"

static const char *env(const char *name, const char *fallback) {
  const char *value = getenv(name);
  return value == NULL ? fallback : value;
}

static void answer(int32_t out, int status, const char *text) {
  http_respond(out, status, TEXT, text, strlen(text), NULL);
}

/** Sends the request's body back as it comes, however long it is. */
static void echo(http_request *request, int32_t out) {
  http_response response = http_begin(out, 200, "application/octet-stream", NULL);
  char piece[4096];
  ptrdiff_t got;
  while ((got = http_read(request, piece, sizeof piece)) > 0) {
    if (!http_write(&response, piece, (size_t)got)) break;
  }
  http_end(&response);
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data;
  if (strcmp(path, "/healthz") == 0) {
    answer(out, 200, "ok\n");
  } else if (strcmp(path, "/echo") == 0) {
    echo(request, out);
  } else if (strncmp(path, "/env?name=", 10) == 0) {
    const char *value = getenv(path + 10);
    answer(out, value == NULL ? 404 : 200, value == NULL ? "not set\n" : value);
  } else if (strcmp(path, "/log") == 0) {
    fprintf(stderr, "%s %s\n", request->method, path);
    answer(out, 200, "logged\n");
  } else if (strcmp(path, "/trap") == 0) {
    abort();
  } else if (strcmp(path, "/") == 0) {
    char text[512];
    const char *pod = env("POD_NAME", env("HOSTNAME", "a component"));
    snprintf(text, sizeof text, "%s, this is %s\n", env("GREETING", "Hello"), pod);
    answer(out, 200, text);
  } else {
    answer(out, 404, "there is nothing here\n");
  }
}
