/*
 * raw-calls: calls any function of wasi_snapshot_preview1 with any numbers, one call a line, and
 * prints its error number. The first word of a line is the function's name, each other one an
 * argument:
 *
 *   12, -1, 0xfff0   the number
 *   M, M-4           the size of memory, or some bytes below or above
 *   B, B+8           a buffer of 64 KiB (the calls may write there)
 *   V                an array of two iovecs, both in the buffer; `iovec I POINTER LENGTH` sets one
 *   P                the path "file", four bytes; N the path "new", three bytes
 *   S                a subscription to a clock that is due at once
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { MAX_WORDS = 12, BUFFER = 1 << 16 };

static char *words[MAX_WORDS];
static int count;
static uint8_t buffer[BUFFER];
static __wasi_iovec_t vectors[2] = {{buffer, 16}, {buffer + 16, 16}};
static __wasi_subscription_t subscription = {.u = {.tag = 0, .u = {.clock = {.id = 1}}}};
static const char existing[] = "file";
static const char fresh[] = "new";

static long long value(int index) {
  if (index >= count) return 0;
  const char *word = words[index];
  long long base = 0;
  switch (*word) {
    case 'M': base = (long long)__builtin_wasm_memory_size(0) * 65536; break;
    case 'B': base = (long long)(uintptr_t)buffer; break;
    case 'V': base = (long long)(uintptr_t)vectors; break;
    case 'P': base = (long long)(uintptr_t)existing; break;
    case 'N': base = (long long)(uintptr_t)fresh; break;
    case 'S': base = (long long)(uintptr_t)&subscription; break;
    default: return strtoll(word, NULL, 0);
  }
  return base + (word[1] ? strtoll(word + 1, NULL, 0) : 0);
}

#define I(index) ((int)value(index))
#define L(index) ((int64_t)value(index))
#define i int
#define l int64_t
#define CALL(name, types, ...)                                                             \
  __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int raw_##name types; \
  static int call_##name(void) { return raw_##name(__VA_ARGS__); }

CALL(args_get, (i, i), I(1), I(2))
CALL(args_sizes_get, (i, i), I(1), I(2))
CALL(environ_get, (i, i), I(1), I(2))
CALL(environ_sizes_get, (i, i), I(1), I(2))
CALL(clock_res_get, (i, i), I(1), I(2))
CALL(clock_time_get, (i, l, i), I(1), L(2), I(3))
CALL(fd_advise, (i, l, l, i), I(1), L(2), L(3), I(4))
CALL(fd_allocate, (i, l, l), I(1), L(2), L(3))
CALL(fd_close, (i), I(1))
CALL(fd_datasync, (i), I(1))
CALL(fd_fdstat_get, (i, i), I(1), I(2))
CALL(fd_fdstat_set_flags, (i, i), I(1), I(2))
CALL(fd_fdstat_set_rights, (i, l, l), I(1), L(2), L(3))
CALL(fd_filestat_get, (i, i), I(1), I(2))
CALL(fd_filestat_set_size, (i, l), I(1), L(2))
CALL(fd_filestat_set_times, (i, l, l, i), I(1), L(2), L(3), I(4))
CALL(fd_pread, (i, i, i, l, i), I(1), I(2), I(3), L(4), I(5))
CALL(fd_prestat_get, (i, i), I(1), I(2))
CALL(fd_prestat_dir_name, (i, i, i), I(1), I(2), I(3))
CALL(fd_pwrite, (i, i, i, l, i), I(1), I(2), I(3), L(4), I(5))
CALL(fd_read, (i, i, i, i), I(1), I(2), I(3), I(4))
CALL(fd_readdir, (i, i, i, l, i), I(1), I(2), I(3), L(4), I(5))
CALL(fd_renumber, (i, i), I(1), I(2))
CALL(fd_seek, (i, l, i, i), I(1), L(2), I(3), I(4))
CALL(fd_sync, (i), I(1))
CALL(fd_tell, (i, i), I(1), I(2))
CALL(fd_write, (i, i, i, i), I(1), I(2), I(3), I(4))
CALL(path_create_directory, (i, i, i), I(1), I(2), I(3))
CALL(path_filestat_get, (i, i, i, i, i), I(1), I(2), I(3), I(4), I(5))
CALL(path_filestat_set_times, (i, i, i, i, l, l, i), I(1), I(2), I(3), I(4), L(5), L(6), I(7))
CALL(path_link, (i, i, i, i, i, i, i), I(1), I(2), I(3), I(4), I(5), I(6), I(7))
CALL(path_open, (i, i, i, i, i, l, l, i, i), I(1), I(2), I(3), I(4), I(5), L(6), L(7), I(8), I(9))
CALL(path_readlink, (i, i, i, i, i, i), I(1), I(2), I(3), I(4), I(5), I(6))
CALL(path_remove_directory, (i, i, i), I(1), I(2), I(3))
CALL(path_rename, (i, i, i, i, i, i), I(1), I(2), I(3), I(4), I(5), I(6))
CALL(path_symlink, (i, i, i, i, i), I(1), I(2), I(3), I(4), I(5))
CALL(path_unlink_file, (i, i, i), I(1), I(2), I(3))
CALL(poll_oneoff, (i, i, i, i), I(1), I(2), I(3), I(4))
CALL(proc_exit, (i), I(1))
CALL(proc_raise, (i), I(1))
CALL(random_get, (i, i), I(1), I(2))
CALL(sched_yield, (void))
CALL(sock_accept, (i, i, i), I(1), I(2), I(3))
CALL(sock_recv, (i, i, i, i, i, i), I(1), I(2), I(3), I(4), I(5), I(6))
CALL(sock_send, (i, i, i, i, i), I(1), I(2), I(3), I(4), I(5))
CALL(sock_shutdown, (i, i), I(1), I(2))

static int call_iovec(void) {
  vectors[value(1) & 1] = (__wasi_iovec_t){(uint8_t *)(uintptr_t)value(2), (size_t)value(3)};
  return 0;
}

#define ROW(name) {#name, call_##name}
static const struct {
  const char *name;
  int (*call)(void);
} calls[] = {
    ROW(iovec),
    ROW(args_get), ROW(args_sizes_get), ROW(environ_get), ROW(environ_sizes_get),
    ROW(clock_res_get), ROW(clock_time_get), ROW(fd_advise), ROW(fd_allocate), ROW(fd_close),
    ROW(fd_datasync), ROW(fd_fdstat_get), ROW(fd_fdstat_set_flags), ROW(fd_fdstat_set_rights),
    ROW(fd_filestat_get), ROW(fd_filestat_set_size), ROW(fd_filestat_set_times), ROW(fd_pread),
    ROW(fd_prestat_get), ROW(fd_prestat_dir_name), ROW(fd_pwrite), ROW(fd_read), ROW(fd_readdir),
    ROW(fd_renumber), ROW(fd_seek), ROW(fd_sync), ROW(fd_tell), ROW(fd_write),
    ROW(path_create_directory), ROW(path_filestat_get), ROW(path_filestat_set_times),
    ROW(path_link), ROW(path_open), ROW(path_readlink), ROW(path_remove_directory),
    ROW(path_rename), ROW(path_symlink), ROW(path_unlink_file), ROW(poll_oneoff), ROW(proc_exit),
    ROW(proc_raise), ROW(random_get), ROW(sched_yield), ROW(sock_accept), ROW(sock_recv),
    ROW(sock_send), ROW(sock_shutdown),
};

static void run(char *line) {
  count = 0;
  for (char *word = strtok(line, " \n"); word && count < MAX_WORDS; word = strtok(NULL, " \n"))
    words[count++] = word;
  if (count == 0) return;
  for (size_t row = 0; row < sizeof calls / sizeof *calls; row++) {
    if (strcmp(calls[row].name, words[0])) continue;
    printf("%d\n", calls[row].call());
    fflush(stdout);
    return;
  }
  printf("unknown call %s\n", words[0]);
}

int main(void) {
  static char line[1 << 12];
  while (fgets(line, sizeof line, stdin)) run(line);
  return 0;
}
