// A guest that does what it should not: its first argument says what. The last mode is a small HTTP
// server that shows files and environment variables, for tests of volumes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENER 3

static void loop(void) {
  for (volatile unsigned long turns = 0;; turns++) {
  }
}

static void grow(void) {
  for (;;) {
    char *volatile block = malloc(1 << 20);
    if (block == NULL) abort();
    memset(block, 1, 1 << 20);
  }
}

static void flood(void) {
  char line[256];
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\n';
  for (;;) write(1, line, sizeof line);
}

static void descriptors(const char *path) {
  unsigned opened = 0;
  while (open(path, O_RDONLY) >= 0) opened++;
  printf("opened %u then %s\n", opened, strerror(errno));
  fflush(stdout);
}

static void answer(int peer, const char *body, size_t length, int found) {
  char head[128];
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 %s\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n",
                      found ? "200 OK" : "404 Not Found", length);
  send(peer, head, (size_t)size, 0);
  if (length > 0) send(peer, body, length, 0);
}

// GET /file/PATH, GET /env/NAME, GET /write/PATH (writes "x"), GET /loop, GET /exit/N.
static void serve_one(int peer) {
  static char request[4096], body[65536];
  ssize_t got = recv(peer, request, sizeof request - 1, 0);
  if (got <= 0) return;
  request[got] = 0;
  char *path = strchr(request, ' ');
  if (path == NULL) return;
  char *end = strchr(++path, ' ');
  if (end == NULL) return;
  *end = 0;
  if (strcmp(path, "/loop") == 0) loop();
  if (strncmp(path, "/exit/", 6) == 0) exit(atoi(path + 6));
  if (strncmp(path, "/env/", 5) == 0) {
    const char *value = getenv(path + 5);
    answer(peer, value ? value : "", value ? strlen(value) : 0, value != NULL);
  } else if (strncmp(path, "/file/", 6) == 0) {
    int file = open(path + 5, O_RDONLY);
    ssize_t size = file < 0 ? -1 : read(file, body, sizeof body);
    if (file >= 0) close(file);
    answer(peer, body, size < 0 ? 0 : (size_t)size, size >= 0);
  } else if (strncmp(path, "/write/", 7) == 0) {
    int file = open(path + 6, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int written = file >= 0 && write(file, "x", 1) == 1;
    const char *why = written ? "written" : strerror(errno);
    if (file >= 0) close(file);
    answer(peer, why, strlen(why), written);
  } else {
    answer(peer, "ok", 2, 1);
  }
}

static void serve(void) {
  for (;;) {
    int peer = accept(LISTENER, NULL, NULL);
    if (peer < 0) continue;
    serve_one(peer);
    close(peer);
  }
}

static __attribute__((noinline)) int deeper(int depth) {
  if (depth == 0) __builtin_trap();
  return deeper(depth - 1) + 1;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "serve";
  const char *value = argc > 2 ? argv[2] : "0";
  if (strcmp(mode, "loop") == 0) loop();
  if (strcmp(mode, "grow") == 0) grow();
  if (strcmp(mode, "flood") == 0) flood();
  if (strcmp(mode, "descriptors") == 0) return descriptors(value), 0;
  if (strcmp(mode, "trap") == 0) return deeper(3);
  if (strcmp(mode, "exit") == 0) return atoi(value);
  if (strcmp(mode, "print") == 0) {
    fputs(value, stdout);
    fflush(stdout);
    return 7;
  }
  if (strcmp(mode, "cgi") == 0) {
    // Under wagi: /loop computes without end, everything else is answered.
    const char *path = getenv("PATH_INFO");
    if (path != NULL && strcmp(path, "/loop") == 0) loop();
    if (path != NULL && strcmp(path, "/grow") == 0) grow();
    puts("content-type: text/plain\n\nok");
    return 0;
  }
  serve();
}
