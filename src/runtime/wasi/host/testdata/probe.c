/*
 * probe: calls WASI functions as its standard input tells, one call a line, and prints a line for
 * each: the error number, then what the call answered. Words are separated by blanks; %XX stands
 * for a byte, and a lone % for the empty word. Numbers are decimal or 0x…; see the table at the
 * end for the calls.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { MAX_WORDS = 16, BUFFER = 1 << 20 };

static char *words[MAX_WORDS];
static size_t lengths[MAX_WORDS];
static int count;
static uint8_t buffer[BUFFER];

static long long num(int index) { return index < count ? strtoll(words[index], NULL, 0) : 0; }

/* Raw imports take paths with their length, so that a zero inside arrives too. */
#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
IMPORT(path_open)
int raw_path_open(int, int, const char *, int, int, int64_t, int64_t, int, int *);
IMPORT(path_create_directory) int raw_mkdir(int, const char *, int);
IMPORT(path_remove_directory) int raw_rmdir(int, const char *, int);
IMPORT(path_unlink_file) int raw_unlink(int, const char *, int);
IMPORT(path_filestat_get) int raw_stat(int, int, const char *, int, void *);
IMPORT(path_filestat_set_times)
int raw_path_times(int, int, const char *, int, int64_t, int64_t, int);
IMPORT(path_readlink) int raw_readlink(int, const char *, int, void *, int, int *);
IMPORT(path_symlink) int raw_symlink(const char *, int, int, const char *, int);
IMPORT(path_link) int raw_link(int, int, const char *, int, int, const char *, int);
IMPORT(path_rename) int raw_rename(int, const char *, int, int, const char *, int);
IMPORT(fd_read) int raw_read(int, const void *, int, void *);
IMPORT(random_get) int raw_random(void *, int);
IMPORT(proc_raise) int raw_raise(int);

#define PATH(index) words[index], (int)lengths[index]

static void print_bytes(const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] > ' ' && bytes[i] < 0x7f && bytes[i] != '%') putchar(bytes[i]);
    else printf("%%%02x", bytes[i]);
  }
}

static void do_open(void) {
  int fd = -1;
  /* All there are; for a directory without those that ask for writing to its bytes. */
  int64_t all = num(4) & 2 ? 0x3fbffebf : 0x3fffffff;
  int64_t rights = count > 5 ? num(5) : all;
  int error = raw_path_open((int)num(1), (int)num(3), PATH(2), (int)num(4), rights,
                            count > 7 ? num(7) : 0x3fffffff, (int)num(6), &fd);
  printf("%d", error);
  if (!error) printf(" %d", fd);
}

static void print_stat(int error, const __wasi_filestat_t *s) {
  printf("%d", error);
  if (!error) printf(" type=%d size=%llu nlink=%llu", s->filetype, s->size, s->nlink);
}

static void do_stat(void) {
  __wasi_filestat_t s;
  print_stat(raw_stat((int)num(1), (int)num(3), PATH(2), &s), &s);
}

static void do_fdfilestat(void) {
  __wasi_filestat_t s;
  print_stat(__wasi_fd_filestat_get((int)num(1), &s), &s);
}

static void do_mtime(void) {
  __wasi_filestat_t s;
  int error = raw_stat((int)num(1), 0, PATH(2), &s);
  printf("%d %llu %llu", error, s.atim, s.mtim);
}

static void do_read(void) {
  size_t got = 0;
  __wasi_iovec_t vectors[2] = {{buffer, (size_t)num(2)}, {buffer + num(2), (size_t)num(3)}};
  int error = __wasi_fd_read((int)num(1), vectors, count > 3 ? 2 : 1, &got);
  printf("%d ", error);
  if (!error) print_bytes(buffer, got);
}

static void do_write(void) {
  size_t done = 0;
  __wasi_ciovec_t vectors[2] = {{(uint8_t *)words[2], lengths[2]}, {0, 0}};
  if (count > 3) vectors[1] = (__wasi_ciovec_t){(uint8_t *)words[3], lengths[3]};
  int error = __wasi_fd_write((int)num(1), vectors, count > 3 ? 2 : 1, &done);
  printf("%d %zu", error, done);
}

/* gather FD COUNT BYTES: one write of COUNT buffers, which are all the same one. */
static void do_gather(void) {
  static __wasi_ciovec_t vectors[1024];
  size_t done = 0;
  for (long long i = 0; i < num(2); i++) vectors[i] = (__wasi_ciovec_t){buffer, (size_t)num(3)};
  int error = __wasi_fd_write((int)num(1), vectors, (size_t)num(2), &done);
  printf("%d %zu", error, done);
}

static void do_pread(void) {
  size_t got = 0;
  __wasi_iovec_t vector = {buffer, (size_t)num(2)};
  int error = __wasi_fd_pread((int)num(1), &vector, 1, (uint64_t)num(3), &got);
  printf("%d ", error);
  if (!error) print_bytes(buffer, got);
}

static void do_pwrite(void) {
  size_t done = 0;
  __wasi_ciovec_t vector = {(uint8_t *)words[2], lengths[2]};
  int error = __wasi_fd_pwrite((int)num(1), &vector, 1, (uint64_t)num(3), &done);
  printf("%d %zu", error, done);
}

static void do_seek(void) {
  uint64_t position = 0;
  int error = __wasi_fd_seek((int)num(1), num(2), (uint8_t)num(3), &position);
  printf("%d %llu", error, position);
}

static void do_tell(void) {
  uint64_t position = 0;
  int error = __wasi_fd_tell((int)num(1), &position);
  printf("%d %llu", error, position);
}

static void do_readlink(void) {
  int got = 0;
  int error = raw_readlink((int)num(1), PATH(2), buffer, (int)num(3), &got);
  printf("%d ", error);
  if (!error) print_bytes(buffer, (size_t)got);
}

/* readdir FD CAPACITY COOKIE: name:type:next for whole records, … for a cut one. */
static void do_readdir(void) {
  size_t used = 0, at = 0;
  int error = __wasi_fd_readdir((int)num(1), buffer, (size_t)num(2), (uint64_t)num(3), &used);
  printf("%d", error);
  while (!error && at < used) {
    __wasi_dirent_t entry;
    if (used - at < sizeof entry) break;
    memcpy(&entry, buffer + at, sizeof entry);
    at += sizeof entry;
    if (used - at < entry.d_namlen) break;
    printf(" ");
    print_bytes(buffer + at, entry.d_namlen);
    printf(":%d:%llu", entry.d_type, entry.d_next);
    at += entry.d_namlen;
  }
  if (at < used || used == (size_t)num(2)) printf(" ...");
}

static void do_fdstat(void) {
  __wasi_fdstat_t s;
  int error = __wasi_fd_fdstat_get((int)num(1), &s);
  printf("%d", error);
  if (!error)
    printf(" type=%d flags=%d rights=%llx inheriting=%llx", s.fs_filetype, s.fs_flags,
           s.fs_rights_base, s.fs_rights_inheriting);
}

static void do_prestat(void) {
  __wasi_prestat_t p;
  int error = __wasi_fd_prestat_get((int)num(1), &p);
  printf("%d", error);
  if (error) return;
  printf(" tag=%d", p.tag);
  if (!__wasi_fd_prestat_dir_name((int)num(1), buffer, p.u.dir.pr_name_len)) {
    printf(" ");
    print_bytes(buffer, p.u.dir.pr_name_len);
  }
}

static void do_args(void) {
  size_t total = 0, bytes = 0;
  static uint8_t *vector[64];
  int error = __wasi_args_sizes_get(&total, &bytes);
  error = error ? error : __wasi_args_get(vector, buffer);
  printf("%d", error);
  for (size_t i = 0; !error && i < total; i++) printf(" %s", vector[i]);
}

static void do_env(void) {
  size_t total = 0, bytes = 0;
  static uint8_t *vector[64];
  int error = __wasi_environ_sizes_get(&total, &bytes);
  error = error ? error : __wasi_environ_get(vector, buffer);
  printf("%d", error);
  for (size_t i = 0; !error && i < total; i++) printf(" %s", vector[i]);
}

static void do_clock(void) {
  uint64_t first = 0, second = 0, resolution = 0;
  int error = __wasi_clock_time_get((uint32_t)num(1), 1, &first);
  int again = __wasi_clock_time_get((uint32_t)num(1), 1, &second);
  int res = __wasi_clock_res_get((uint32_t)num(1), &resolution);
  printf("%d %d %d %s %s", error, again, res, second >= first ? "forward" : "back",
         resolution > 0 ? "resolution" : "none");
}

static void do_random(void) {
  long long size = num(1);
  memset(buffer, 0, sizeof buffer);
  int error = __wasi_random_get(buffer, (size_t)size);
  long long zeros = 0;
  for (long long i = 0; i < size; i++) zeros += buffer[i] == 0;
  printf("%d %s", error, size >= 64 && zeros > size / 4 ? "zeros" : "filled");
}

/*
 * poll r:FD w:FD m:MILLISECONDS c:CLOCK t:CLOCK:MILLISECONDS a:CLOCK:MILLISECONDS … : `t` counts
 * from now, `a` names the time that is so much after now. userdata is the word's index.
 */
static void do_poll(void) {
  __wasi_subscription_t in[MAX_WORDS];
  __wasi_event_t out[MAX_WORDS];
  size_t events = 0;
  memset(in, 0, sizeof in);
  for (int i = 1; i < count; i++) {
    __wasi_subscription_t *s = &in[i - 1];
    long long value = strtoll(words[i] + 2, NULL, 0);
    s->userdata = (uint64_t)i;
    s->u.tag = words[i][0] == 'r' ? 1 : words[i][0] == 'w' ? 2 : 0;
    if (s->u.tag) {
      s->u.u.fd_read.file_descriptor = (int)value;
    } else if (words[i][0] == 'c') {
      s->u.u.clock.id = (uint32_t)value;
    } else if (words[i][0] != 'm') {
      uint64_t now = 0;
      const char *after = strrchr(words[i], ':') + 1;
      s->u.u.clock.id = (uint32_t)value;
      s->u.u.clock.timeout = (uint64_t)(strtoll(after, NULL, 0) * 1000000);
      s->u.u.clock.flags = words[i][0] == 'a';
      if (words[i][0] == 'a') {
        if (__wasi_clock_time_get((uint32_t)value, 1, &now)) abort();
        s->u.u.clock.timeout += now;
      }
    } else {
      s->u.u.clock.id = 1;
      s->u.u.clock.timeout = (uint64_t)value * 1000000;
    }
  }
  int error = __wasi_poll_oneoff(in, out, (size_t)(count - 1), &events);
  printf("%d", error);
  for (size_t i = 0; !error && i < events; i++) {
    printf(" %s", words[out[i].userdata]);
    if (out[i].error) printf("!%d", out[i].error);
    if (out[i].type && !out[i].error)
      printf("=%llu%s", out[i].fd_readwrite.nbytes, out[i].fd_readwrite.flags ? "H" : "");
  }
}

/* many FD N makes the files f.0 to f.(N-1), fewer FD N removes them again. */
static void do_many(void) {
  int error = 0;
  for (long long i = 0; i < num(2) && !error; i++) {
    char name[32];
    int fd = -1, length = snprintf(name, sizeof name, "f.%lld", i);
    if (!strcmp(words[0], "fewer")) error = raw_unlink((int)num(1), name, length);
    else error = raw_path_open((int)num(1), 0, name, length, 1, 0, 0, 0, &fd);
    if (fd >= 0 && __wasi_fd_close(fd)) abort();
  }
  printf("%d", error);
}

/*
 * list FD CAPACITY: reads a whole directory through a buffer of so many bytes, going on at the
 * cookie of the last whole entry; tells how many there were, and whether their inodes are those
 * that path_filestat_get gives.
 */
static void do_list(void) {
  uint64_t cookie = 0;
  unsigned entries = 0, wrong = 0;
  size_t used, capacity = (size_t)num(2);
  do {
    int error = __wasi_fd_readdir((int)num(1), buffer, capacity, cookie, &used);
    uint64_t before = cookie;
    __wasi_dirent_t entry;
    for (size_t at = 0; !error && used - at >= sizeof entry; at += sizeof entry + entry.d_namlen) {
      memcpy(&entry, buffer + at, sizeof entry);
      if (used - at < sizeof entry + entry.d_namlen) break;
      const char *name = (const char *)buffer + at + sizeof entry;
      __wasi_filestat_t stat;
      bool dots = name[0] == '.' && (entry.d_namlen == 1 || (entry.d_namlen == 2 && name[1] == '.'));
      cookie = entry.d_next;
      entries++;
      if (dots) continue;
      wrong += raw_stat((int)num(1), 0, name, (int)entry.d_namlen, &stat) ||
               stat.ino != entry.d_ino || stat.filetype != entry.d_type;
    }
    if (error || (used == capacity && before == cookie)) {
      printf("%d stuck at %u", error, entries);
      return;
    }
  } while (used == capacity);
  printf("0 %u%s", entries, wrong ? " wrong" : "");
}

/* deep FD N: N directories `d`, each in the one before; answers the descriptor of the last. */
static void do_deep(void) {
  int at = (int)num(1), error = 0;
  for (long long i = 0; i < num(2) && !error; i++) {
    int next = -1;
    error = raw_mkdir(at, "d", 1);
    if (!error || error == 20)
      error = raw_path_open(at, 0, "d", 1, 2, 0x3fbffebf, 0x3fffffff, 0, &next);
    if (at != (int)num(1) && __wasi_fd_close(at)) abort();
    at = next;
  }
  printf("%d %d", error, at);
}

/* burn CLOCK MILLISECONDS: computes until this clock went on by so much. */
static volatile unsigned burnt;
static void do_burn(void) {
  uint64_t start = 0, now = 0;
  int error = __wasi_clock_time_get((uint32_t)num(1), 1, &start);
  while (!error && now < start + (uint64_t)num(2) * 1000000) {
    for (int i = 0; i < 10000; i++) burnt++;
    error = __wasi_clock_time_get((uint32_t)num(1), 1, &now);
  }
  printf("%d", error);
}

static void do_accept(void) {
  __wasi_fd_t fd = 0;
  int error = __wasi_sock_accept((int)num(1), (uint16_t)num(2), &fd);
  printf("%d", error);
  if (!error) printf(" %d", fd);
}

static void do_recv(void) {
  size_t got = 0;
  uint16_t flags = 0;
  __wasi_iovec_t vector = {buffer, (size_t)num(2)};
  int error = __wasi_sock_recv((int)num(1), &vector, 1, (uint16_t)num(3), &got, &flags);
  printf("%d ", error);
  if (!error) print_bytes(buffer, got);
}

static void do_send(void) {
  size_t done = 0;
  __wasi_ciovec_t vector = {(uint8_t *)words[2], lengths[2]};
  int error = __wasi_sock_send((int)num(1), &vector, 1, 0, &done);
  printf("%d %zu", error, done);
}

/* flood FD BYTES: sends until BYTES went out or an error came. */
static void do_flood(void) {
  long long sent = 0;
  int error = 0;
  while (!error && sent < num(2)) {
    size_t done = 0;
    size_t part = num(2) - sent < BUFFER ? (size_t)(num(2) - sent) : BUFFER;
    __wasi_ciovec_t vector = {buffer, part};
    error = __wasi_sock_send((int)num(1), &vector, 1, 0, &done);
    if (!error) sent += (long long)done;
  }
  printf("%d %s", error, sent == num(2) ? "all" : sent > 0 ? "some" : "none");
}

/* sink FD: receives to the end. */
static void do_sink(void) {
  unsigned long long total = 0;
  for (;;) {
    size_t got = 0;
    uint16_t flags = 0;
    __wasi_iovec_t vector = {buffer, BUFFER};
    int error = __wasi_sock_recv((int)num(1), &vector, 1, 0, &got, &flags);
    if (error || got == 0) {
      printf("%d %llu", error, total);
      return;
    }
    total += got;
  }
}

/* again FD TRIES: how many receives answered EAGAIN before something came. */
static void do_again(void) {
  for (long long tries = 0; tries < num(2); tries++) {
    size_t got = 0;
    uint16_t flags = 0;
    __wasi_iovec_t vector = {buffer, BUFFER};
    int error = __wasi_sock_recv((int)num(1), &vector, 1, 0, &got, &flags);
    if (error == 6) continue;
    printf("%d %s ", error, tries > 0 ? "waited" : "at-once");
    print_bytes(buffer, got);
    return;
  }
  printf("6 gave-up");
}

/* Bad addresses: the buffer, the vector, a result, and a size that wraps. */
static void do_fault(void) {
  size_t got = 0;
  __wasi_iovec_t vector = {(uint8_t *)0xfffffff0u, 64};
  printf("%d", __wasi_fd_read(0, &vector, 1, &got));
  printf(" %d", raw_read(0, (void *)0xfffffff0u, 4, &got));
  printf(" %d", raw_read(0, (void *)0xfffffff0u, 0x40000000, &got));
  printf(" %d", raw_random((void *)0xfffffff0u, 64));
  printf(" %d", raw_stat(3, 0, (char *)0x7ffffff0, 0x70, buffer));
  printf(" %d", raw_stat(3, 0, ".", 1, (void *)0xffffffff));
}

/* grow PAGES: what memory.grow answers; growfail PAGES traps when it is refused. */
static void do_grow(void) {
  printf("%ld", (long)__builtin_wasm_memory_grow(0, (size_t)num(1)));
}

static void do_growfail(void) {
  for (int i = 0; i < 1000; i++)
    if (__builtin_wasm_memory_grow(0, (size_t)num(1)) == (size_t)-1) abort();
}

static volatile int depth;
static int recurse(int n) {
  volatile char frame[1024];
  frame[0] = (char)n;
  depth = n;
  if (depth < 0) return 0;
  return recurse(n + 1) + frame[0];
}

#define ONE(call) printf("%d", call)

static void do_simple(const char *name) {
  int fd = (int)num(1);
  if (!strcmp(name, "close")) ONE(__wasi_fd_close(fd));
  else if (!strcmp(name, "mkdir")) ONE(raw_mkdir(fd, PATH(2)));
  else if (!strcmp(name, "rmdir")) ONE(raw_rmdir(fd, PATH(2)));
  else if (!strcmp(name, "unlink")) ONE(raw_unlink(fd, PATH(2)));
  else if (!strcmp(name, "symlink")) ONE(raw_symlink(PATH(1), (int)num(2), PATH(3)));
  else if (!strcmp(name, "link"))
    ONE(raw_link(fd, (int)num(5), PATH(2), (int)num(3), PATH(4)));
  else if (!strcmp(name, "rename")) ONE(raw_rename(fd, PATH(2), (int)num(3), PATH(4)));
  else if (!strcmp(name, "renumber")) ONE(__wasi_fd_renumber(fd, (int)num(2)));
  else if (!strcmp(name, "setflags")) ONE(__wasi_fd_fdstat_set_flags(fd, (uint16_t)num(2)));
  else if (!strcmp(name, "setrights"))
    ONE(__wasi_fd_fdstat_set_rights(fd, (uint64_t)num(2), (uint64_t)num(3)));
  else if (!strcmp(name, "setsize")) ONE(__wasi_fd_filestat_set_size(fd, (uint64_t)num(2)));
  else if (!strcmp(name, "allocate"))
    ONE(__wasi_fd_allocate(fd, (uint64_t)num(2), (uint64_t)num(3)));
  else if (!strcmp(name, "advise"))
    ONE(__wasi_fd_advise(fd, (uint64_t)num(2), (uint64_t)num(3), (uint8_t)num(4)));
  else if (!strcmp(name, "sync")) ONE(__wasi_fd_sync(fd));
  else if (!strcmp(name, "datasync")) ONE(__wasi_fd_datasync(fd));
  else if (!strcmp(name, "fdtimes"))
    ONE(__wasi_fd_filestat_set_times(fd, (uint64_t)num(2), (uint64_t)num(3), (uint16_t)num(4)));
  else if (!strcmp(name, "times"))
    ONE(raw_path_times(fd, (int)num(6), PATH(2), num(3), num(4), (int)num(5)));
  else if (!strcmp(name, "shutdown")) ONE(__wasi_sock_shutdown(fd, (uint8_t)num(2)));
  else if (!strcmp(name, "yield")) ONE(__wasi_sched_yield());
  else if (!strcmp(name, "raise")) ONE(raw_raise(fd));
  else if (!strcmp(name, "exit")) __wasi_proc_exit((uint32_t)num(1));
  else if (!strcmp(name, "trap")) __builtin_trap();
  else if (!strcmp(name, "loop")) for (;;) depth++;
  else if (!strcmp(name, "overflow")) ONE(recurse(0));
  else printf("unknown call %s", name);
}

static const struct {
  const char *name;
  void (*call)(void);
} calls[] = {
    {"open", do_open},         {"stat", do_stat},       {"fdfilestat", do_fdfilestat},
    {"mtime", do_mtime},       {"read", do_read},       {"write", do_write},
    {"pread", do_pread},       {"pwrite", do_pwrite},   {"seek", do_seek},
    {"tell", do_tell},         {"readlink", do_readlink}, {"readdir", do_readdir},
    {"fdstat", do_fdstat},     {"prestat", do_prestat}, {"args", do_args},
    {"env", do_env},           {"clock", do_clock},     {"random", do_random},
    {"poll", do_poll},         {"accept", do_accept},   {"recv", do_recv},
    {"send", do_send},         {"flood", do_flood},     {"sink", do_sink},
    {"again", do_again},       {"fault", do_fault},     {"grow", do_grow},
    {"growfail", do_growfail}, {"many", do_many},       {"fewer", do_many},
    {"list", do_list},         {"deep", do_deep},       {"burn", do_burn},
    {"gather", do_gather},
};

static size_t unescape(char *word) {
  char *to = word;
  if (!strcmp(word, "%")) word++;
  for (const char *from = word; *from;) {
    if (*from == '%' && from[1] && from[2]) {
      char digits[3] = {from[1], from[2], 0};
      *to++ = (char)strtol(digits, NULL, 16);
      from += 3;
    } else {
      *to++ = *from++;
    }
  }
  *to = 0;
  return (size_t)(to - words[count]);
}

static void run(char *line) {
  count = 0;
  for (char *word = strtok(line, " \n"); word && count < MAX_WORDS; word = strtok(NULL, " \n")) {
    words[count] = word;
    lengths[count] = unescape(word);
    count++;
  }
  if (count == 0) return;
  bool done = false;
  for (size_t i = 0; i < sizeof calls / sizeof *calls && !done; i++) {
    if (strcmp(calls[i].name, words[0])) continue;
    calls[i].call();
    done = true;
  }
  if (!done) do_simple(words[0]);
  printf("\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  static char line[1 << 16];
  if (argc > 1 && strcmp(argv[1], "-")) {
    /* Without a standard input: each argument is a line. */
    for (int i = 1; i < argc; i++) run(argv[i]);
    return 0;
  }
  while (fgets(line, sizeof line, stdin)) run(line);
  return 0;
}
