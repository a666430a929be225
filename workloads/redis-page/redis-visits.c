// Counts visits in a database it cannot speak to: the page in a container does, and is asked by the
// name of its Service.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../wasi-http-c/wasi-http.h"

#define TEXT "text/plain; charset=utf-8"
#define MAX_ANSWER 4096

static void answer(int32_t out, int status, const char *text) {
  http_respond(out, status, TEXT, text, strlen(text), NULL);
}

void http_handle(http_request *request, int32_t out) {
  if (strcmp(request->path.data, "/healthz") == 0) {
    answer(out, 200, "ok\n");
    return;
  }
  char *page = config_get("PAGE_URL");
  http_answer got =
      http_fetch("GET", page == NULL ? "http://redis-page/?visit" : page, NULL, NULL, 0, MAX_ANSWER);
  free(page);
  char text[MAX_ANSWER + 128];
  if (got.status == 200) {
    snprintf(text, sizeof text, "visit %.*s", (int)got.body.size, got.body.data);
    answer(out, 200, text);
  } else if (got.status == 0) {
    snprintf(text, sizeof text, "the page does not answer: %s\n", got.error);
    answer(out, 502, text);
  } else {
    snprintf(text, sizeof text, "the page answers %d: %.*s", got.status, (int)got.body.size,
             got.body.data);
    answer(out, 502, text);
  }
  free(got.body.data);
}
