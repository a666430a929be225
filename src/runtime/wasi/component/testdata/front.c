// A component for what the HTTP front does beyond a head and a body: WebSockets, trailers, events.
// The first letter of the path says which. By the canonical ABI and nothing else.
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
typedef struct { uint8_t *bytes; size_t length; } list;
typedef struct { uint8_t failed; list read; } list_result;

IMPORT(HTTP, "[constructor]fields") extern handle fields_new(void);
IMPORT(HTTP, "[method]fields.append")
extern void fields_append(handle, const char *, size_t, const void *, size_t, void *);
IMPORT(HTTP, "[method]fields.get")
extern void fields_get(handle, const char *, size_t, void *);
IMPORT(HTTP, "[resource-drop]fields") extern void fields_drop(handle);
IMPORT(HTTP, "[constructor]outgoing-response") extern handle response_new(handle headers);
IMPORT(HTTP, "[method]outgoing-response.set-status-code")
extern int32_t response_status(handle, int32_t);
IMPORT(HTTP, "[method]outgoing-response.body") extern void response_body(handle, result *);
IMPORT(HTTP, "[static]response-outparam.set")
extern void outparam_set(handle, int32_t failed, handle, int32_t, int64_t, int32_t, int32_t,
                         int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-body.write") extern void body_write(handle, result *);
IMPORT(HTTP, "[static]outgoing-body.finish")
extern void body_finish(handle, int32_t some, handle trailers, void *);
IMPORT(HTTP, "[method]incoming-request.path-with-query") extern void request_path(handle, void *);
IMPORT(HTTP, "[method]incoming-request.headers") extern handle request_headers(handle);
IMPORT(HTTP, "[method]incoming-request.consume") extern void request_consume(handle, result *);
IMPORT(HTTP, "[method]incoming-body.stream") extern void body_stream(handle, result *);
IMPORT(HTTP, "[static]incoming-body.finish") extern handle incoming_body_finish(handle);
IMPORT(HTTP, "[method]future-trailers.subscribe") extern handle trailers_subscribe(handle);
IMPORT(HTTP, "[method]future-trailers.get") extern void trailers_get(handle, void *);
IMPORT(HTTP, "[resource-drop]future-trailers") extern void future_trailers_drop(handle);
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

static uint8_t heap[1 << 16];
static size_t used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  used += size;
  return heap + used - size;
}

static void wait_for(handle pollable) {
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

// What the client sends, a byte at a time where that is simpler.
typedef struct { handle stream; list_result last; size_t at; } input;

static int more(input *in) {
  used = 0;
  in->at = 0;
  stream_read(in->stream, 16384, &in->last);
  return !in->last.failed;
}

static int next_byte(input *in) {
  while (in->at == in->last.read.length) if (!more(in)) return -1;
  return in->last.read.bytes[in->at++];
}

static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
           block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                          : (b ^ c ^ d) + 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

// What proves to a client that it talks to a WebSocket server (RFC 6455 section 4.2.2).
static void accept_key(const uint8_t key[24], char accept[28]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static uint8_t message[128], digest[21];
  for (int i = 0; i < 24; i++) message[i] = key[i];
  for (int i = 0; i < 36; i++) message[24 + i] = guid[i];
  message[60] = 0x80;
  message[126] = 480 >> 8, message[127] = 480 & 255;
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  sha1_block(state, message);
  sha1_block(state, message + 64);
  for (int i = 0; i < 20; i++) digest[i] = state[i / 4] >> (24 - 8 * (i % 4));
  for (int i = 0; i < 7; i++) {
    uint32_t three = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
    for (int j = 0; j < 4; j++) accept[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
  }
  accept[27] = '=';
}

// One frame back as it came, unmasked; 0 at the end.
static int echo_frame(input *in, handle stream) {
  int first = next_byte(in), second = next_byte(in);
  if (first < 0 || second < 0) return 0;
  int opcode = first & 15;
  uint64_t length = second & 127;
  int extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (extra > 0) length = 0;
  uint8_t head[10] = {opcode == 9 ? 0x8a : first, second & 127};
  for (int i = 0; i < extra; i++) head[2 + i] = next_byte(in), length = length << 8 | head[2 + i];
  uint8_t mask[4] = {0};
  if (second & 128) for (int i = 0; i < 4; i++) mask[i] = next_byte(in);
  if (!say(stream, head, 2 + extra)) return 0;
  for (uint64_t done = 0; done < length;) {
    if (in->at == in->last.read.length && !more(in)) return 0;
    uint8_t *part = in->last.read.bytes + in->at;
    size_t size = in->last.read.length - in->at;
    if (size > length - done) size = length - done;
    for (size_t i = 0; i < size; i++) part[i] ^= mask[(done + i) & 3];
    if (!say(stream, part, size)) return 0;
    in->at += size, done += size;
  }
  return opcode != 8;
}

static void serve_socket(handle body, handle stream) {
  result opened;
  body_stream(body, &opened);
  input in = {.stream = opened.value};
  while (echo_frame(&in, stream)) {}
  input_drop(opened.value);
  future_trailers_drop(incoming_body_finish(body));
}

// The body back, and behind it what came behind it.
static handle serve_trailers(handle body, handle stream) {
  result opened;
  body_stream(body, &opened);
  input in = {.stream = opened.value};
  while (more(&in) && say(stream, in.last.read.bytes, in.last.read.length)) {}
  input_drop(opened.value);
  handle future = incoming_body_finish(body);
  wait_for(trailers_subscribe(future));
  struct { uint8_t some[8], late[8], failed[8], present[4]; handle value; } got;
  trailers_get(future, &got);
  future_trailers_drop(future);
  if (!got.failed[0] && got.present[0]) return got.value;
  uint8_t ignored[64];
  handle none = fields_new();
  fields_append(none, got.failed[0] ? "x-failed" : "x-none", got.failed[0] ? 8 : 6, "yes", 3, ignored);
  return none;
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void serve(handle request, handle out) {
  struct { uint8_t some; char *text; size_t length; } path;
  uint8_t ignored[64];
  used = 0;
  request_path(request, &path);
  char what = path.some && path.length > 1 ? path.text[1] : 0;
  int events = path.some && path.length > 2 ? path.text[2] - '0' : 0;
  handle headers = request_headers(request);
  struct { list *values; size_t count; } key;
  fields_get(headers, "sec-websocket-key", 17, &key);
  handle answer = fields_new();
  int socket = what == 'w' && key.count == 1 && key.values[0].length == 24;
  if (socket) {
    char accept[28];
    accept_key(key.values[0].bytes, accept);
    fields_append(answer, "sec-websocket-accept", 20, accept, 28, ignored);
  }
  if (what == 'e') fields_append(answer, "content-type", 12, "text/event-stream", 17, ignored);
  fields_drop(headers);
  handle response = response_new(answer);
  if (socket || what == 'u') response_status(response, 101);
  result body, stream, incoming;
  response_body(response, &body);
  body_write(body.value, &stream);
  outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
  handle trailers = -1;
  if (socket || what == 't') {
    request_consume(request, &incoming);
    if (socket) serve_socket(incoming.value, stream.value);
    else trailers = serve_trailers(incoming.value, stream.value);
  }
  for (char event[] = "data: 0\n\n"; what == 'e' && events > 0; events--, event[6]++) {
    if (!say(stream.value, event, 9)) break;
    wait_for(subscribe_duration(50 * 1000000));
  }
  output_drop(stream.value);
  body_finish(body.value, trailers != -1, trailers, ignored);
  request_drop(request);
}
