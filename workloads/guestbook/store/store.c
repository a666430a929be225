// Keeps what guests wrote, a line each, in a file of the pod's volume.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../wasi-http-c/wasi-http.h"

#define FILE_NAME "/data/messages.txt"
#define MAX_MESSAGE 200
#define MAX_BYTES (64 * 1024)
#define TEXT "text/plain; charset=utf-8"

static void answer(int32_t out, int status, const char *text) {
  http_respond(out, status, TEXT, text, strlen(text), NULL);
}

/** Only who has the Secret's token may read or write. */
static bool is_known(const http_request *request) {
  const char *wanted = getenv("STORE_TOKEN");
  http_text given = http_header(request, "x-guestbook-token");
  bool known = wanted != NULL && given.data != NULL && strcmp(given.data, wanted) == 0;
  free(given.data);
  return known;
}

static void list(int32_t out) {
  FILE *file = fopen(FILE_NAME, "r");
  http_response response = http_begin(out, 200, TEXT, NULL);
  char piece[4096];
  size_t got;
  while (file != NULL && (got = fread(piece, 1, sizeof piece, file)) > 0) {
    if (!http_write(&response, piece, got)) break;
  }
  http_end(&response);
  if (file != NULL) fclose(file);
}

static void add(http_request *request, int32_t out) {
  char message[MAX_MESSAGE + 1];
  size_t size = 0;
  ptrdiff_t got = 0;
  while (size <= MAX_MESSAGE && (got = http_read(request, message + size, sizeof message - size)) > 0) {
    size += (size_t)got;
  }
  if (got < 0) return answer(out, 400, "the message broke off\n");
  if (size > MAX_MESSAGE) return answer(out, 413, "a message has at most 200 bytes\n");
  for (size_t index = 0; index < size; index++) {
    if ((unsigned char)message[index] < ' ') message[index] = ' ';
  }
  FILE *file = fopen(FILE_NAME, "a");
  if (file == NULL) {
    perror(FILE_NAME);
    return answer(out, 500, "the message cannot be kept\n");
  }
  fseek(file, 0, SEEK_END);
  bool full = ftell(file) + (long)size + 1 > MAX_BYTES;
  bool kept = !full && fwrite(message, 1, size, file) == size && fputc('\n', file) == '\n';
  kept = fclose(file) == 0 && kept;
  if (full) return answer(out, 507, "the guestbook is full\n");
  answer(out, kept ? 201 : 500, kept ? "kept\n" : "the message cannot be kept\n");
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data;
  if (strcmp(path, "/healthz") == 0) return answer(out, 200, "ok\n");
  if (strcmp(path, "/messages") != 0) return answer(out, 404, "there is nothing here\n");
  if (!is_known(request)) return answer(out, 401, "the token is wrong\n");
  if (strcmp(request->method, "GET") == 0) return list(out);
  if (strcmp(request->method, "POST") == 0) return add(request, out);
  answer(out, 405, "GET or POST\n");
}
