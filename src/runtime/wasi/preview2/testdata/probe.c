// A service whose paths try one thing of the host each, with the C library where it has it.
#include "../../../../../workloads/wasi-http-c/wasi-http.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char text[16384];
static size_t used;

#define SAY(...) used += (size_t)snprintf(text + used, sizeof text - used, __VA_ARGS__)
#define TRY(call) SAY("%s: %s\n", #call, (call) == 0 ? "ok" : strerror(errno))

static void files(void) {
  char buffer[64] = {0};
  struct stat st, other;
  TRY(mkdir("/data/made", 0777));
  TRY(mkdir("/data/made", 0777));
  int fd = open("/data/made/file", O_CREAT | O_RDWR | O_TRUNC, 0666);
  SAY("write: %d\n", (int)write(fd, "hello", 5));
  SAY("pwrite: %d\n", (int)pwrite(fd, "J", 1, 0));
  SAY("lseek: %d\n", (int)lseek(fd, 1, SEEK_SET));
  SAY("read: %d %s\n", (int)read(fd, buffer, sizeof buffer), buffer);
  TRY(ftruncate(fd, 3));
  TRY(fstat(fd, &st));
  SAY("size: %d\n", (int)st.st_size);
  TRY(close(fd));
  fd = open("/data/made/file", O_WRONLY | O_APPEND);
  SAY("append: %d\n", (int)write(fd, "!", 1));
  close(fd);
  TRY(link("/data/made/file", "/data/made/link"));
  TRY(symlink("file", "/data/made/symlink"));
  TRY(stat("/data/made/symlink", &other));
  SAY("same: %d\n", st.st_ino == other.st_ino);
  TRY(rename("/data/made/link", "/data/made/moved"));
  DIR *directory = opendir("/data/made");
  int entries = 0;
  for (struct dirent *entry; directory && (entry = readdir(directory));) entries++;
  if (directory) closedir(directory);
  SAY("entries: %d\n", entries);
  TRY(rmdir("/data/made"));
  TRY(unlink("/data/made/moved"));
  TRY(unlink("/data/made/symlink"));
  TRY(access("/data/../../etc/passwd", R_OK));
  TRY(open("/data/escape", O_RDONLY) < 0);
  TRY(open("/etc/passwd", O_RDONLY) < 0);
}

static void clocks(void) {
  struct timespec before, after, pause = {0, 20 * 1000 * 1000}, wall;
  clock_gettime(CLOCK_MONOTONIC, &before);
  TRY(nanosleep(&pause, NULL));
  clock_gettime(CLOCK_MONOTONIC, &after);
  clock_gettime(CLOCK_REALTIME, &wall);
  long long passed = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
  SAY("slept: %d\n", passed >= 20 * 1000 * 1000);
  SAY("wall: %d\n", wall.tv_sec > 1600000000);
  unsigned char random[32] = {0};
  int sum = 0;
  TRY(getentropy(random, sizeof random));
  for (size_t at = 0; at < sizeof random; at++) sum += random[at];
  SAY("random: %d\n", sum != 0);
  const char *home = getenv("HOME");
  SAY("HOME: %s\n", home ? home : "none");
  char *config = config_get("HOME");
  SAY("config: %s\n", config ? config : "none");
  printf("on stdout\n");
  fflush(stdout);
  fprintf(stderr, "on stderr\n");
}

static void echo(http_request *request, int32_t out) {
  static char buffer[4096];
  http_response response = http_begin(out, 200, "application/octet-stream", NULL);
  for (ptrdiff_t got; (got = http_read(request, buffer, sizeof buffer)) > 0;) {
    if (!http_write(&response, buffer, (size_t)got)) break;
  }
  http_end(&response);
}

static void stream(long bytes, int32_t out) {
  static char block[4096];
  http_response response = http_begin(out, 200, "application/octet-stream", NULL);
  for (long sent = 0; sent < bytes; sent += (long)sizeof block) {
    if (!http_write(&response, block, sizeof block)) break;
  }
  http_end(&response);
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data;
  used = 0;
  if (strcmp(path, "/echo") == 0) return echo(request, out);
  if (strncmp(path, "/stream?", 8) == 0) return stream(atol(path + 8), out);
  if (strcmp(path, "/trap") == 0) __builtin_trap();
  if (strcmp(path, "/exit") == 0) exit(3);
  if (strcmp(path, "/files") == 0) {
    files();
  } else if (strcmp(path, "/clocks") == 0) {
    clocks();
  } else if (strncmp(path, "/fetch?", 7) == 0) {
    http_answer answer = http_fetch("POST", path + 7, NULL, "question", 8, sizeof text / 2);
    SAY("%d %s %.*s", answer.status, answer.status == 0 ? answer.error : "", (int)answer.body.size,
        answer.body.data ? answer.body.data : "");
    free(answer.body.data);
  } else {
    SAY("%s %s", request->method, path);
  }
  http_respond(out, 200, "text/plain", text, used, NULL);
}
