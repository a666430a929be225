#include "wasi-http.h"

#include <stdlib.h>
#include <string.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

// What these write to is laid out as CanonicalABI.md says: a variant's number in the first byte,
// what it holds after it at the place that its alignment asks for.
typedef struct {
  uint8_t failed;
  union {
    int32_t handle;
    http_text list;
    struct {
      uint8_t closed;
      int32_t error;
    } stream;
  };
} result32;
// Where an error-code of wasi:http can be inside: it holds numbers of 64 bits.
typedef struct {
  uint8_t failed;
  union {
    int32_t handle;
    uint8_t code;
    uint64_t room[5];
  };
} result64;

IMPORT(HTTP, "[constructor]fields") int32_t fields_new(void);
IMPORT(HTTP, "[method]fields.append")
void fields_append(int32_t, const char *, size_t, const char *, size_t, void *);
IMPORT(HTTP, "[method]fields.get") void fields_get(int32_t, const char *, size_t, void *);
IMPORT(HTTP, "[resource-drop]fields") void fields_drop(int32_t);
IMPORT(HTTP, "[method]incoming-request.method") void request_method(int32_t, void *);
IMPORT(HTTP, "[method]incoming-request.path-with-query") void request_path(int32_t, void *);
IMPORT(HTTP, "[method]incoming-request.headers") int32_t request_headers(int32_t);
IMPORT(HTTP, "[method]incoming-request.consume") void request_consume(int32_t, void *);
IMPORT(HTTP, "[resource-drop]incoming-request") void request_drop(int32_t);
IMPORT(HTTP, "[method]incoming-body.stream") void incoming_stream(int32_t, void *);
IMPORT(HTTP, "[resource-drop]incoming-body") void incoming_drop(int32_t);
IMPORT(HTTP, "[constructor]outgoing-response") int32_t response_new(int32_t);
IMPORT(HTTP, "[method]outgoing-response.set-status-code") int32_t response_status(int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(int32_t, void *);
IMPORT(HTTP, "[static]response-outparam.set")
void outparam_set(int32_t, int32_t, int32_t, int32_t, int64_t, int32_t, int32_t, int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-body.write") void outgoing_write(int32_t, void *);
IMPORT(HTTP, "[static]outgoing-body.finish") void outgoing_finish(int32_t, int32_t, int32_t, void *);
IMPORT(HTTP, "[resource-drop]outgoing-body") void outgoing_drop(int32_t);
IMPORT(HTTP, "[constructor]outgoing-request") int32_t call_new(int32_t);
IMPORT(HTTP, "[method]outgoing-request.set-method")
int32_t call_method(int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-scheme")
int32_t call_scheme(int32_t, int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-authority")
int32_t call_authority(int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-path-with-query")
int32_t call_path(int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.body") void call_body(int32_t, void *);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle")
void outgoing_handle(int32_t, int32_t, int32_t, void *);
IMPORT(HTTP, "[method]future-incoming-response.subscribe") int32_t future_subscribe(int32_t);
IMPORT(HTTP, "[method]future-incoming-response.get") void future_get(int32_t, void *);
IMPORT(HTTP, "[resource-drop]future-incoming-response") void future_drop(int32_t);
IMPORT(HTTP, "[method]incoming-response.status") int32_t answer_status(int32_t);
IMPORT(HTTP, "[method]incoming-response.consume") void answer_consume(int32_t, void *);
IMPORT(HTTP, "[resource-drop]incoming-response") void answer_drop(int32_t);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(int32_t, int64_t, void *);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(int32_t);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int32_t, const char *, size_t, void *);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int32_t);
IMPORT("wasi:io/error@0.2.12", "[resource-drop]error") void error_drop(int32_t);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(int32_t);
IMPORT("wasi:io/poll@0.2.12", "[resource-drop]pollable") void pollable_drop(int32_t);
IMPORT("wasi:config/store@0.2.0-rc.1", "get") void store_get(const char *, size_t, void *);

// The most that one call may write to a stream.
#define MAX_WRITE 4096

// Where the host puts strings and lists. One byte more than asked for, so that text can end in NUL.
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  (void)align;
  void *place = realloc(old, size + 1);
  if (place == NULL) abort();
  ((char *)place)[size] = 0;
  return place;
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle")
void exported_handle(int32_t handle, int32_t out) {
  static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  http_request request = {.handle = handle, .body = -1, .stream = -1};
  struct {
    uint8_t kind;
    http_text other;
  } method;
  request_method(handle, &method);
  const char *name = method.kind < 9 ? methods[method.kind] : method.other.data;
  strncpy(request.method, name, sizeof request.method - 1);
  if (method.kind == 9) free(method.other.data);
  struct {
    uint8_t some;
    http_text path;
  } path;
  request_path(handle, &path);
  request.path = path.some ? path.path : (http_text){strdup("/"), 1};
  result32 body;
  request_consume(handle, &body);
  if (!body.failed) {
    request.body = body.handle;
    incoming_stream(request.body, &body);
    if (!body.failed) request.stream = body.handle;
  }
  http_handle(&request, out);
  if (request.stream >= 0) input_drop(request.stream);
  if (request.body >= 0) incoming_drop(request.body);
  request_drop(handle);
  free(request.path.data);
}

static ptrdiff_t read_stream(int32_t stream, char *into, size_t limit) {
  result32 result;
  stream_read(stream, (int64_t)limit, &result);
  if (result.failed) {
    if (result.stream.closed) return 0;
    error_drop(result.stream.error);
    return -1;
  }
  memcpy(into, result.list.data, result.list.size);
  free(result.list.data);
  return (ptrdiff_t)result.list.size;
}

ptrdiff_t http_read(http_request *request, char *into, size_t limit) {
  return request->stream < 0 ? 0 : read_stream(request->stream, into, limit);
}

http_text http_header(const http_request *request, const char *name) {
  int32_t headers = request_headers(request->handle);
  struct {
    http_text *items;
    size_t count;
  } values;
  fields_get(headers, name, strlen(name), &values);
  http_text first = values.count > 0 ? values.items[0] : (http_text){NULL, 0};
  for (size_t index = 1; index < values.count; index++) free(values.items[index].data);
  free(values.items);
  fields_drop(headers);
  return first;
}

static int32_t header_fields(const char *type, const char *const more[2]) {
  int32_t fields = fields_new();
  uint8_t ignored[8];
  if (type != NULL) {
    fields_append(fields, "content-type", 12, type, strlen(type), ignored);
  }
  if (more != NULL) {
    fields_append(fields, more[0], strlen(more[0]), more[1], strlen(more[1]), ignored);
  }
  return fields;
}

static bool write_stream(int32_t stream, const char *bytes, size_t size) {
  while (size > 0) {
    size_t part = size < MAX_WRITE ? size : MAX_WRITE;
    result32 result;
    stream_write(stream, bytes, part, &result);
    if (result.failed) {
      if (!result.stream.closed) error_drop(result.stream.error);
      return false;
    }
    bytes += part;
    size -= part;
  }
  return true;
}

http_response http_begin(int32_t out, int status, const char *type, const char *const more[2]) {
  int32_t response = response_new(header_fields(type, more));
  response_status(response, status);
  result32 body, stream;
  response_body(response, &body);
  outgoing_write(body.handle, &stream);
  outparam_set(out, 0, response, 0, 0, 0, 0, 0, 0);
  return (http_response){body.handle, stream.handle};
}

bool http_write(http_response *response, const char *bytes, size_t size) {
  return write_stream(response->stream, bytes, size);
}

void http_end(http_response *response) {
  result64 ignored;
  output_drop(response->stream);
  outgoing_finish(response->body, 0, 0, &ignored);
}

void http_respond(int32_t out, int status, const char *type, const char *body, size_t size,
                  const char *const more[2]) {
  http_response response = http_begin(out, status, type, more);
  http_write(&response, body, size);
  http_end(&response);
}

static const char *const error_codes[] = {
    "DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable",
    "destination-IP-prohibited", "destination-IP-unroutable", "connection-refused",
    "connection-terminated", "connection-timeout", "connection-read-timeout",
    "connection-write-timeout", "connection-limit-reached", "TLS-protocol-error",
    "TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied",
    "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
    "HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size",
    "HTTP-request-header-size", "HTTP-request-trailer-section-size", "HTTP-request-trailer-size",
    "HTTP-response-incomplete", "HTTP-response-header-section-size", "HTTP-response-header-size",
    "HTTP-response-body-size", "HTTP-response-trailer-section-size", "HTTP-response-trailer-size",
    "HTTP-response-transfer-coding", "HTTP-response-content-coding", "HTTP-response-timeout",
    "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error",
    "internal-error"};

static http_answer no_answer(uint8_t code) {
  size_t known = sizeof error_codes / sizeof *error_codes;
  return (http_answer){.error = code < known ? error_codes[code] : "unknown"};
}

static http_answer read_answer(int32_t response, size_t limit) {
  http_answer answer = {.status = answer_status(response), .body = {malloc(limit + 1), 0}};
  result32 body, stream;
  answer_consume(response, &body);
  incoming_stream(body.handle, &stream);
  while (answer.body.size < limit) {
    size_t left = limit - answer.body.size;
    ptrdiff_t got = read_stream(stream.handle, answer.body.data + answer.body.size, left);
    if (got < 0) answer.error = "HTTP-response-incomplete";
    if (got <= 0) break;
    answer.body.size += (size_t)got;
  }
  answer.body.data[answer.body.size] = 0;
  input_drop(stream.handle);
  incoming_drop(body.handle);
  answer_drop(response);
  return answer;
}

http_answer http_fetch(const char *method, const char *url, const char *const more[2],
                       const char *body, size_t size, size_t limit) {
  bool secure = strncmp(url, "https://", 8) == 0;
  const char *authority = url + (secure ? 8 : 7);
  const char *path = strchr(authority, '/');
  size_t authority_size = path == NULL ? strlen(authority) : (size_t)(path - authority);
  if (path == NULL) path = "/";
  int32_t call = call_new(header_fields(NULL, more));
  // GET and POST by their numbers in wasi:http, others by name.
  int32_t number = strcmp(method, "GET") == 0 ? 0 : strcmp(method, "POST") == 0 ? 2 : 9;
  call_method(call, number, method, number == 9 ? strlen(method) : 0);
  call_scheme(call, 1, secure ? 1 : 0, NULL, 0);
  call_authority(call, 1, authority, authority_size);
  call_path(call, 1, path, strlen(path));
  result32 outgoing, stream;
  call_body(call, &outgoing);
  result64 begun;
  outgoing_handle(call, 0, 0, &begun);
  if (begun.failed) {
    outgoing_drop(outgoing.handle);
    return no_answer(begun.code);
  }
  outgoing_write(outgoing.handle, &stream);
  write_stream(stream.handle, body, size);
  output_drop(stream.handle);
  result64 finished;
  outgoing_finish(outgoing.handle, 0, 0, &finished);
  int32_t ready = future_subscribe(begun.handle);
  pollable_block(ready);
  pollable_drop(ready);
  struct {
    uint8_t some;
    struct {
      uint8_t again;
      result64 answer;
    } once;
  } arrived;
  future_get(begun.handle, &arrived);
  future_drop(begun.handle);
  if (!arrived.some || arrived.once.again) return no_answer(255);
  if (arrived.once.answer.failed) return no_answer(arrived.once.answer.code);
  return read_answer(arrived.once.answer.handle, limit);
}

char *config_get(const char *key) {
  struct {
    uint8_t failed;
    union {
      struct {
        uint8_t some;
        http_text text;
      } value;
      struct {
        uint8_t kind;
        http_text text;
      } error;
    };
  } result;
  store_get(key, strlen(key), &result);
  if (result.failed) {
    free(result.error.text.data);
    return NULL;
  }
  return result.value.some ? result.value.text.data : NULL;
}
