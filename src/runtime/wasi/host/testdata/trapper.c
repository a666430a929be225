/* trapper: traps as its argument tells, with functions that have names in the module. */
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static volatile int zero;

__attribute__((noinline)) static int divide(int by) { return 7 / by; }

__attribute__((noinline)) static int read_far(void) { return *(volatile int *)0x7ffffff0; }

__attribute__((noinline)) static int descend(int depth) {
  volatile char frame[256];
  frame[0] = (char)depth;
  return zero ? 0 : descend(depth + 1) + frame[0];
}

/* Calls the host at every depth, so that its stack ends at some time inside of the host. */
__attribute__((noinline)) static int descend_calling(int depth) {
  volatile char frame[16];
  __wasi_fd_t fd = 0;
  __wasi_filestat_t stat;
  frame[0] = (char)depth;
  if (__wasi_random_get((uint8_t *)frame, sizeof frame)) exit(9);
  if (__wasi_path_open(3, 0, "made", 1, 0x200002, 0, 0, &fd)) exit(10);
  if (__wasi_fd_filestat_get(fd, &stat) || __wasi_fd_close(fd)) exit(11);
  return zero ? 0 : descend_calling(depth + 1) + frame[0];
}

__attribute__((noinline)) static int serve_request(const char *how) {
  if (!strcmp(how, "divide")) return divide(zero);
  if (!strcmp(how, "read")) return read_far();
  if (!strcmp(how, "descend")) return descend(0);
  if (!strcmp(how, "descend-calling")) return descend_calling(0);
  __builtin_trap();
}

int main(int argc, char **argv) { return serve_request(argc > 1 ? argv[1] : "trap"); }
