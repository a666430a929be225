// A wasi:http service that attacks its host: the first segment of the path names the attack, what
// follows is its argument. HOSTILE_START=loop or trap makes it attack before it serves.
#include "../../../workloads/wasi-http-c/wasi-http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define FILES "wasi:filesystem/types@0.2.12"
#define TCP "wasi:sockets/tcp@0.2.12"

// What the host answers into; as large and as aligned as any of it.
typedef struct {
  union {
    uint8_t byte[256];
    uint32_t word[64];
    uint64_t room[32];
  };
} answer;

IMPORT(HTTP, "[constructor]fields") int32_t fields_new(void);
IMPORT(HTTP, "[method]fields.append")
void fields_append(int32_t, const char *, size_t, const char *, size_t, void *);
IMPORT(HTTP, "[resource-drop]incoming-request") void request_drop(int32_t);
IMPORT(HTTP, "[resource-drop]incoming-body") void incoming_drop(int32_t);
IMPORT(HTTP, "[method]incoming-request.method") void request_method(int32_t, void *);
IMPORT(HTTP, "[constructor]outgoing-response") int32_t response_new(int32_t);
IMPORT(HTTP, "[method]outgoing-response.set-status-code") int32_t response_status(int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(int32_t, void *);
IMPORT(HTTP, "[static]response-outparam.set")
void outparam_set(int32_t, int32_t, int32_t, int32_t, int64_t, int32_t, int32_t, int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-body.write") void outgoing_write(int32_t, void *);
IMPORT(HTTP, "[static]outgoing-body.finish") void outgoing_finish(int32_t, int32_t, int32_t, void *);
IMPORT(HTTP, "[resource-drop]outgoing-body") void outgoing_drop(int32_t);
IMPORT(HTTP, "[constructor]outgoing-request") int32_t call_new(int32_t);
IMPORT(HTTP, "[method]outgoing-request.set-scheme")
int32_t call_scheme(int32_t, int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-authority")
int32_t call_authority(int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-method")
int32_t call_method(int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-path-with-query")
int32_t call_path(int32_t, int32_t, const char *, size_t);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle")
void outgoing_handle(int32_t, int32_t, int32_t, void *);
IMPORT("wasi:io/streams@0.2.12", "[method]output-stream.blocking-write-and-flush")
void stream_write(int32_t, const char *, size_t, void *);
IMPORT("wasi:io/streams@0.2.12", "[resource-drop]output-stream") void output_drop(int32_t);
IMPORT("wasi:io/poll@0.2.12", "poll") void poll_list(const int32_t *, size_t, void *);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") int32_t timer(int64_t);
IMPORT("wasi:random/random@0.2.12", "get-random-bytes") void random_bytes(int64_t, void *);
IMPORT("wasi:filesystem/preopens@0.2.12", "get-directories") void directories(void *);
IMPORT(FILES, "[method]descriptor.open-at")
void open_at(int32_t, int32_t, const char *, size_t, int32_t, int32_t, void *);
IMPORT(FILES, "[method]descriptor.stat-at")
void stat_at(int32_t, int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.metadata-hash-at")
void hash_at(int32_t, int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.create-directory-at")
void create_at(int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.readlink-at")
void readlink_at(int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.remove-directory-at")
void remove_at(int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.unlink-file-at")
void unlink_at(int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.symlink-at")
void symlink_at(int32_t, const char *, size_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.rename-at")
void rename_at(int32_t, const char *, size_t, int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.link-at")
void link_at(int32_t, int32_t, const char *, size_t, int32_t, const char *, size_t, void *);
IMPORT(FILES, "[method]descriptor.set-times-at")
void times_at(int32_t, int32_t, const char *, size_t, int32_t, int64_t, int32_t, int32_t, int64_t,
              int32_t, void *);
IMPORT("wasi:sockets/instance-network@0.2.12", "instance-network") int32_t network(void);
IMPORT("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket") void tcp_new(int32_t, void *);
IMPORT(TCP, "[method]tcp-socket.start-connect")
void tcp_connect(int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t,
                 int32_t, int32_t, int32_t, int32_t, int32_t, void *);
IMPORT(TCP, "[method]tcp-socket.finish-connect") void tcp_finish(int32_t, void *);
IMPORT(TCP, "[method]tcp-socket.subscribe") int32_t tcp_subscribe(int32_t);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(int32_t);
IMPORT("wasi:sockets/ip-name-lookup@0.2.12", "resolve-addresses")
void resolve(int32_t, const char *, size_t, void *);
IMPORT("wasi:sockets/ip-name-lookup@0.2.12", "[method]resolve-address-stream.subscribe")
int32_t names_subscribe(int32_t);
IMPORT("wasi:sockets/ip-name-lookup@0.2.12",
       "[method]resolve-address-stream.resolve-next-address")
void names_next(int32_t, void *);

static char text[8192];
static size_t used;
static char large[128 * 1024];
static answer result;
static volatile unsigned turns;

#define SAY(...) used += (size_t)snprintf(text + used, sizeof text - used, __VA_ARGS__)
#define IS(name) (strcmp(attack, name) == 0)

static void loop(void) {
  for (;;) turns++;
}

__attribute__((constructor)) static void start(void) {
  const char *how = getenv("HOSTILE_START");
  if (how != NULL && strcmp(how, "loop") == 0) loop();
  if (how != NULL && strcmp(how, "trap") == 0) __builtin_trap();
}

// Names every function that did not refuse a path out of the directory.
static void escape(void) {
  static const char *const paths[] = {"..",   "../..",       "/",         "/etc/passwd", "/etc",
                                      "a/../..", "./../.",   "up",        "up/up",       "up/..",
                                      "root",    "root/etc", "root/etc/passwd", "up/../../../etc",
                                      "//etc//passwd", "..//..", ".\\..", "proc/self/fd"};
  directories(&result);
  int32_t at = *(int32_t *)(uintptr_t)result.word[0];
  create_at(at, "a", 1, &result);
  open_at(at, 0, "a/file", 6, 1, 3, &result);
  symlink_at(at, "..", 2, "up", 2, &result);
  SAY("symlink ..: %d\n", result.byte[0]);
  symlink_at(at, "/", 1, "root", 4, &result);
  SAY("symlink /: %d\n", result.byte[0]);
  for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
    const char *path = paths[index];
    size_t size = strlen(path);
#define REFUSED(name, call)                                                 \
  do {                                                                      \
    memset(&result, 1, sizeof result);                                      \
    call;                                                                   \
    if (result.byte[0] == 0) SAY("%s %s\n", name, path);                    \
  } while (0)
    REFUSED("open", open_at(at, 1, path, size, 0, 1, &result));
    REFUSED("create", open_at(at, 1, path, size, 1, 3, &result));
    REFUSED("stat", stat_at(at, 1, path, size, &result));
    REFUSED("hash", hash_at(at, 1, path, size, &result));
    REFUSED("mkdir", create_at(at, path, size, &result));
    REFUSED("times", times_at(at, 1, path, size, 1, 0, 0, 1, 0, 0, &result));
    REFUSED("link from", link_at(at, 1, path, size, at, "linked", 6, &result));
    REFUSED("link to", link_at(at, 0, "a/file", 6, at, path, size, &result));
    if (strcmp(path, "up") == 0 || strcmp(path, "root") == 0) continue;
    REFUSED("readlink", readlink_at(at, path, size, &result));
    REFUSED("rmdir", remove_at(at, path, size, &result));
    REFUSED("unlink", unlink_at(at, path, size, &result));
    REFUSED("symlink", symlink_at(at, "a", 1, path, size, &result));
    REFUSED("rename from", rename_at(at, path, size, at, "renamed", 7, &result));
    REFUSED("rename to", rename_at(at, "a/file", 6, at, path, size, &result));
  }
}

// Connects to 127.0.0.1 at a port, or to what a name leads to; says the error's number.
static void dial(const char *where) {
  const char *name = strchr(where, '/');
  int32_t net = network(), ip[4] = {127, 0, 0, 1};
  if (name != NULL) {
    resolve(net, name + 1, strlen(name + 1), &result);
    if (result.byte[0]) {
      SAY("lookup refused %d", result.byte[4]);
      return;
    }
    int32_t names = (int32_t)result.word[1];
    pollable_block(names_subscribe(names));
    names_next(names, &result);
    if (result.byte[0]) {
      SAY("lookup failed %d", result.byte[4]);
      return;
    }
    // option<ip-address>: some, which family, then its numbers.
    for (int part = 0; part < 4; part++) ip[part] = result.byte[6 + part];
  }
  tcp_new(0, &result);
  int32_t socket = (int32_t)result.word[1];
  tcp_connect(socket, net, 0, atoi(where), ip[0], ip[1], ip[2], ip[3], 0, 0, 0, 0, 0, 0, &result);
  if (result.byte[0]) {
    SAY("refused %d", result.byte[1]);
    return;
  }
  pollable_block(tcp_subscribe(socket));
  tcp_finish(socket, &result);
  if (result.byte[0]) SAY("failed %d", result.byte[4]);
  else SAY("connected");
}

// Begins requests and reads none of the answers.
static void unread(const char *authority) {
  int begun = 0;
  for (int count = 0; count < 3000; count++) {
    int32_t call = call_new(fields_new());
    call_scheme(call, 1, 0, NULL, 0);
    call_authority(call, 1, authority, strlen(authority));
    outgoing_handle(call, 0, 0, &result);
    if (result.byte[0] == 0) begun++;
    else {
      SAY("error %d after ", result.byte[8]);
      break;
    }
  }
  pollable_block(timer(500000000));
  SAY("%d", begun);
}

// Tries to smuggle something into the head of a request; says what was taken.
static void smuggle(const char *authority) {
  static const char *const names[] = {"Host", "Transfer-Encoding", "Connection", "x-kubun-scheme",
                                      "X-Kubun-Resolve", "a b", "a:", "a\r\nHost", "", "a\0b"};
  static const char *const values[] = {"x\r\nHost: other", "x\nHost: other", "x\r", "x\0y"};
  static const char *const paths[] = {"http://other/", "//x HTTP/1.1\r\nHost: other", "/ x", "/\t",
                                      "x", "/\r\n\r\nGET /", "*", "/a#b"};
  static const char *const targets[] = {"a@other", "other\r\n", "a b", "a:99999", "a:0", "[::1", ""};
  int32_t fields = fields_new();
#define TAKEN(what, index) SAY("%s %d taken\n", what, (int)(index))
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    size_t size = index == 9 ? 3 : strlen(names[index]);
    fields_append(fields, names[index], size, "v", 1, &result);
    if (!result.byte[0]) TAKEN("name", index);
  }
  for (size_t index = 0; index < sizeof values / sizeof *values; index++) {
    size_t size = index == 3 ? 3 : strlen(values[index]);
    fields_append(fields, "ok", 2, values[index], size, &result);
    if (!result.byte[0]) TAKEN("value", index);
  }
  fields_append(fields, "content-length", 14, "5", 1, &result);
  fields_append(fields, "Content-Length", 14, "6", 1, &result);
  int32_t call = call_new(fields);
  for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
    if (call_path(call, 1, paths[index], strlen(paths[index])) == 0) TAKEN("path", index);
  }
  for (size_t index = 0; index < sizeof targets / sizeof *targets; index++) {
    if (call_authority(call, 1, targets[index], strlen(targets[index])) == 0) {
      TAKEN("authority", index);
    }
  }
  if (call_method(call, 9, "GET / HTTP/1.1\r\nX:", 18) == 0) TAKEN("method", 0);
  call_scheme(call, 1, 0, NULL, 0);
  call_path(call, 1, "/", 1);
  call_authority(call, 1, authority, strlen(authority));
  outgoing_handle(call, 0, 0, &result);
  SAY("lengths: %s\n", result.byte[0] ? "refused" : "sent");
}

// Answers with fields named by the argument, a body of five bytes, and as lengths it likes.
static void answer_with(const char *how, int32_t out) {
  int32_t fields = fields_new();
  int count = 0, size = 0;
  if (sscanf(how, "fields-%d-%d", &count, &size) == 2) {
    memset(large, 'x', sizeof large);
    char name[16];
    for (int index = 0; index < count; index++) {
      snprintf(name, sizeof name, "x-%d", index);
      fields_append(fields, name, strlen(name), large, (size_t)size, &result);
    }
  }
  for (const char *at = strstr(how, "length-"); at != NULL; at = strstr(at + 1, "length-")) {
    size_t end = strcspn(at + 7, "/");
    fields_append(fields, "content-length", 14, at + 7, end, &result);
  }
  int32_t response = response_new(fields);
  int status = 200;
  sscanf(how, "status-%d", &status);
  response_status(response, status);
  response_body(response, &result);
  int32_t body = (int32_t)result.word[1];
  outgoing_write(body, &result);
  int32_t stream = (int32_t)result.word[1];
  outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
  // Sent as a stream, because the event loop turns first.
  if (strstr(how, "late") != NULL) pollable_block(timer(20000000));
  stream_write(stream, "12345", 5, &result);
  if (strstr(how, "slow") != NULL) {
    pollable_block(timer(50000000));
    stream_write(stream, "67890", 5, &result);
  }
  output_drop(stream);
  if (strstr(how, "drop") != NULL) return;
  outgoing_finish(body, 0, 0, &result);
}

static void misuse(const char *attack, http_request *request, int32_t out) {
  if (IS("trap")) __builtin_trap();
  if (IS("never")) return;
  if (IS("loop")) loop();
  if (IS("out-of-memory")) {
    for (char *more; (more = malloc(1 << 16)) != NULL;) memset(more, 1, 1 << 16);
    abort();
  }
  if (IS("twice")) {
    http_respond(out, 200, NULL, "once", 4, NULL);
    http_respond(out, 200, NULL, "twice", 5, NULL);
  }
  if (IS("after-drop")) {
    request_drop(request->handle);
    request_method(request->handle, &result);
  }
  if (IS("parent-first")) incoming_drop(request->body);
  if (IS("forged")) request_method(0x7fffffff, &result);
  if (IS("wrong-kind")) fields_append(request->handle, "a", 1, "b", 1, &result);
  if (IS("pointer")) fields_append(fields_new(), (char *)0xfffffff0, 100, "b", 1, &result);
  if (IS("return-pointer")) request_method(request->handle, (void *)0xfffffffc);
  if (IS("return-unaligned")) directories((void *)0x401);
  if (IS("text")) call_path(call_new(fields_new()), 1, "/\xff\xc0\x80\xed\xa0\x80", 7);
  if (IS("number")) outparam_set(out, 7, 99, 99, 99, 99, 99, 99, 99);
  if (IS("scheme")) call_scheme(call_new(fields_new()), 1, 77, NULL, 0);
  if (IS("error-number")) outparam_set(out, 1, 200, 0, 0, 0, 0, 0, 0);
  if (IS("poll-nothing")) poll_list(NULL, 0, &result);
  if (IS("poll-many")) poll_list((int32_t *)large, 1 << 20, &result);
  if (IS("random")) random_bytes(INT64_MAX, &result);
  if (IS("resources")) {
    for (;;) fields_new();
  }
  if (IS("timers")) {
    for (;;) timer(INT64_MAX);
  }
  if (IS("field-bytes")) {
    memset(large, 'x', sizeof large);
    for (int32_t fields = fields_new();;) {
      fields_append(fields, "x", 1, large, 1000, &result);
    }
  }
  // Heads that are given to responses, which are kept.
  if (IS("heads")) {
    memset(large, 'x', sizeof large);
    for (;;) {
      int32_t fields = fields_new();
      fields_append(fields, "x", 1, large, 120000, &result);
      response_new(fields);
    }
  }
  if (IS("descriptors")) {
    int opened = 0;
    directories(&result);
    int32_t at = *(int32_t *)(uintptr_t)result.word[0];
    for (;; opened++) {
      open_at(at, 0, ".", 1, 2, 1, &result);
      if (result.byte[0]) break;
    }
    SAY("%d", opened);
    http_respond(out, 200, NULL, text, used, NULL);
  }
  if (IS("log")) {
    memset(large, 'x', 1000);
    large[999] = '\n';
    for (;;) fwrite(large, 1, 1000, stderr);
  }
  if (IS("trap-in-stream") || IS("endless") || IS("loop-in-stream")) {
    http_response response = http_begin(out, 200, NULL, NULL);
    http_write(&response, large, 4096);
    pollable_block(timer(50000000));
    if (IS("trap-in-stream")) __builtin_trap();
    if (IS("loop-in-stream")) loop();
    while (http_write(&response, large, 4096)) continue;
    SAY("the client left");
    fprintf(stderr, "%s\n", text);
  }
}

void http_handle(http_request *request, int32_t out) {
  char *attack = request->path.data + 1;
  char *argument = strchr(attack, '/');
  used = 0;
  if (argument != NULL) *argument++ = 0;
  else argument = attack + strlen(attack);
  if (IS("escape")) escape();
  else if (IS("dial")) dial(argument);
  else if (IS("unread")) unread(argument);
  else if (IS("smuggle")) smuggle(argument);
  else if (IS("call")) {
    http_answer got = http_fetch("GET", argument, NULL, NULL, 0, 4096);
    SAY("%d %s %.*s", got.status, got.error ? got.error : "", (int)got.body.size,
        got.status ? got.body.data : "");
  } else if (IS("answer")) {
    answer_with(argument, out);
    return;
  } else if (IS("")) SAY("ok");
  else {
    misuse(attack, request, out);
    return;
  }
  http_respond(out, 200, "text/plain", text, used, NULL);
}
