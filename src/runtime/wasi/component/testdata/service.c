// A component that serves HTTP, by the canonical ABI and nothing else. The first letter of the path
// says what to do; a number after it says how much.
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"
#define POLL "wasi:io/poll@0.2.12"
#define CLOCK "wasi:clocks/monotonic-clock@0.2.12"

typedef int32_t handle;
typedef struct { uint8_t failed; handle value; } result;
typedef struct { uint8_t failed; uint8_t *bytes; size_t length; } list_result;

IMPORT(HTTP, "[constructor]fields") extern handle fields_new(void);
IMPORT(HTTP, "[method]fields.append")
extern void fields_append(handle, const char *, size_t, const char *, size_t, void *);
IMPORT(HTTP, "[constructor]outgoing-response") extern handle response_new(handle headers);
IMPORT(HTTP, "[method]outgoing-response.body") extern void response_body(handle, result *);
IMPORT(HTTP, "[static]response-outparam.set")
extern void outparam_set(handle, int32_t failed, handle, int32_t, int64_t, int32_t, int32_t,
                         int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-body.write") extern void body_write(handle, result *);
IMPORT(HTTP, "[static]outgoing-body.finish")
extern void body_finish(handle, int32_t some, handle trailers, void *);
IMPORT(HTTP, "[method]incoming-request.path-with-query") extern void request_path(handle, void *);
IMPORT(HTTP, "[method]incoming-request.consume") extern void request_consume(handle, result *);
IMPORT(HTTP, "[method]incoming-body.stream") extern void body_stream(handle, result *);
IMPORT(HTTP, "[resource-drop]incoming-body") extern void incoming_body_drop(handle);
IMPORT(HTTP, "[resource-drop]incoming-request") extern void request_drop(handle);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
extern void stream_write(handle, const void *, size_t, void *);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
extern void stream_read(handle, int64_t, list_result *);
IMPORT(STREAMS, "[resource-drop]output-stream") extern void output_drop(handle);
IMPORT(STREAMS, "[resource-drop]input-stream") extern void input_drop(handle);
IMPORT(CLOCK, "subscribe-duration") extern handle subscribe_duration(int64_t ns);
IMPORT(POLL, "[method]pollable.block") extern void pollable_block(handle);
IMPORT(POLL, "[resource-drop]pollable") extern void pollable_drop(handle);

static uint8_t heap[1 << 17];
static size_t used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  used += size;
  return heap + used - size;
}

static void wait_ms(int64_t ms) {
  handle pollable = subscribe_duration(ms * 1000000);
  pollable_block(pollable);
  pollable_drop(pollable);
}

static int say(handle stream, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  while (length > 0) {
    size_t part = length > 4096 ? 4096 : length;
    uint8_t failed[16];
    stream_write(stream, at, part, failed);
    if (failed[0]) return 0;
    at += part, length -= part;
  }
  return 1;
}

static void echo(handle request, handle stream) {
  result body, input;
  request_consume(request, &body);
  body_stream(body.value, &input);
  for (;;) {
    list_result read;
    used = 0;
    stream_read(input.value, 16384, &read);
    if (read.failed || !say(stream, read.bytes, read.length)) break;
  }
  input_drop(input.value);
  incoming_body_drop(body.value);
}

static char kibibyte[1024];
static unsigned calls;

static void answer(handle request, handle stream, char what, unsigned amount) {
  switch (what) {
    case 'b': // so many KiB
      while (amount-- > 0 && say(stream, kibibyte, sizeof kibibyte)) {}
      break;
    case 'd': // a drop every 20 ms, so often
      while (amount-- > 0 && say(stream, "data: drop\n\n", 12)) wait_ms(20);
      break;
    case 'e':
    case 'o':
      echo(request, stream);
      break;
    case 'c': { // which call of this instance it is
      char digits[10];
      size_t length = 0;
      for (unsigned rest = ++calls; rest > 0; rest /= 10) digits[9 - length++] = '0' + rest % 10;
      say(stream, digits + 10 - length, length);
      break;
    }
    case 'x': // begins well, then traps
      say(stream, kibibyte, sizeof kibibyte);
      wait_ms(50);
      __builtin_trap();
    default:
      say(stream, "hello from a component\n", 23);
  }
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void serve(handle request, handle out) {
  struct { uint8_t some; char *text; size_t length; } path;
  used = 0;
  request_path(request, &path);
  char what = path.some && path.length > 1 ? path.text[1] : 0;
  unsigned amount = 0;
  for (size_t at = 2; path.some && at < path.length; at++) amount = amount * 10 + path.text[at] - '0';
  if (what == 't') __builtin_trap();
  if (what == 'n') return request_drop(request); // no answer
  static unsigned served;
  if (what == 'o' && served++ > 0) return request_drop(request); // answers once in its life
  if (what == 'w') wait_ms(amount);
  if (what == 'm') { // all memory there is, and then some
    while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {}
    __builtin_trap();
  }
  if (what == 'l') for (volatile unsigned turns = 0;;) turns++;
  uint8_t ignored[64];
  handle headers = fields_new();
  fields_append(headers, "content-type", 12, "text/plain", 10, ignored);
  if (what == 'c') fields_append(headers, "set-cookie", 10, "a=1", 3, ignored);
  if (what == 'c') fields_append(headers, "set-cookie", 10, "b=2", 3, ignored);
  handle response = response_new(headers);
  result body, stream;
  response_body(response, &body);
  body_write(body.value, &stream);
  outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
  if (what == 'h') return; // a head only, of which nothing is dropped
  answer(request, stream.value, what, amount);
  output_drop(stream.value);
  body_finish(body.value, 0, 0, ignored);
  request_drop(request);
}
