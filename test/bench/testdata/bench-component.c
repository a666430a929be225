// What the benchmarks ask of a component besides a greeting: a call of another service, and an
// answer that is long.
#include <stdlib.h>
#include <string.h>

#include "../../../workloads/wasi-http-c/wasi-http.h"

#define TEXT "text/plain"

/** `/call`: asks the service at UPSTREAM and passes its answer on. */
static void call(int32_t out) {
  const char *upstream = getenv("UPSTREAM");
  http_answer got = http_fetch("GET", upstream == NULL ? "http://upstream/" : upstream, NULL, NULL, 0, 4096);
  if (got.status == 0) return http_respond(out, 502, TEXT, got.error, strlen(got.error), NULL);
  http_respond(out, got.status, TEXT, got.body.data, got.body.size, NULL);
  free(got.body.data);
}

/** `/stream/MIB`: so many mebibytes, piece by piece. */
static void stream(int32_t out, long mebibytes) {
  static char piece[4096];
  memset(piece, '.', sizeof piece);
  http_response response = http_begin(out, 200, "application/octet-stream", NULL);
  for (long left = mebibytes * (1024 * 1024 / (long)sizeof piece); left > 0; left--) {
    if (!http_write(&response, piece, sizeof piece)) break;
  }
  http_end(&response);
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data;
  if (strcmp(path, "/call") == 0) call(out);
  else if (strncmp(path, "/stream/", 8) == 0) stream(out, atol(path + 8));
  else http_respond(out, 200, TEXT, "ok\n", 3, NULL);
}
