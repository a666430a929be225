/* trapper: traps as its argument tells, with functions that have names in the module. */
#include <stdlib.h>
#include <string.h>

static volatile int zero;

__attribute__((noinline)) static int divide(int by) { return 7 / by; }

__attribute__((noinline)) static int read_far(void) { return *(volatile int *)0x7ffffff0; }

__attribute__((noinline)) static int descend(int depth) {
  volatile char frame[256];
  frame[0] = (char)depth;
  return zero ? 0 : descend(depth + 1) + frame[0];
}

__attribute__((noinline)) static int serve_request(const char *how) {
  if (!strcmp(how, "divide")) return divide(zero);
  if (!strcmp(how, "read")) return read_far();
  if (!strcmp(how, "descend")) return descend(0);
  __builtin_trap();
}

int main(int argc, char **argv) { return serve_request(argc > 1 ? argv[1] : "trap"); }
