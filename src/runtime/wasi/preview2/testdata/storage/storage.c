// A component with wasi:cli/run that keeps things: by SQLite, in blobs, and says what it was told.
// Each argument is one thing to do: "count" adds one to a counter and says how far it is, "blob"
// writes an object and reads a part of it back, "again" fails, so that it is started once more.
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define STREAMS "wasi:io/streams@0.2.12"
#define SQLITE "fermyon:spin/sqlite@2.0.0"
#define VARIABLES "fermyon:spin/variables@2.0.0"
#define BLOBS "wasi:blobstore/blobstore@0.2.0-draft"
#define CONTAINER "wasi:blobstore/container@0.2.0-draft"
#define TYPES "wasi:blobstore/types@0.2.0-draft"

typedef int32_t handle;
typedef struct { const char *text; size_t length; } string;
/** A value of a row, or a parameter. */
typedef struct { uint8_t kind; union { int64_t integer; double real; string text; } as; } value;
enum { INTEGER, REAL, TEXT, BLOB, NOTHING };
typedef struct { value *values; size_t count; } row;
typedef struct {
  uint8_t failed;
  union {
    struct { string *columns; size_t column_count; row *rows; size_t row_count; } result;
    struct { uint8_t kind; string words; } error;
  } as;
} query;
typedef struct { uint8_t failed; handle value; size_t length; } result;

IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") extern handle get_stdout(void);
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") extern void get_arguments(void *);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
extern void stream_write(handle, const void *, size_t, void *);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
extern void stream_read(handle, int64_t, void *);
IMPORT(STREAMS, "[resource-drop]output-stream") extern void output_drop(handle);
IMPORT(STREAMS, "[resource-drop]input-stream") extern void input_drop(handle);
IMPORT(SQLITE, "[static]connection.open")
extern void connection_open(const char *, size_t, void *);
IMPORT(SQLITE, "[method]connection.execute")
extern void connection_execute(handle, const char *, size_t, value *, size_t, query *);
IMPORT(SQLITE, "[resource-drop]connection") extern void connection_drop(handle);
IMPORT(VARIABLES, "get") extern void variable_get(const char *, size_t, void *);
IMPORT(BLOBS, "get-container") extern void get_container(const char *, size_t, result *);
IMPORT(CONTAINER, "[method]container.write-data")
extern void write_data(handle, const char *, size_t, handle, result *);
IMPORT(CONTAINER, "[method]container.get-data")
extern void get_data(handle, const char *, size_t, int64_t, int64_t, result *);
IMPORT(CONTAINER, "[resource-drop]container") extern void container_drop(handle);
IMPORT(TYPES, "[static]outgoing-value.new-outgoing-value") extern handle outgoing_value(void);
IMPORT(TYPES, "[method]outgoing-value.outgoing-value-write-body")
extern void write_body(handle, result *);
IMPORT(TYPES, "[static]outgoing-value.finish") extern void finish(handle, result *);
IMPORT(TYPES, "[static]incoming-value.incoming-value-consume-async")
extern void consume(handle, result *);

static uint8_t heap[1 << 16];
static size_t used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  used += size;
  return heap + used - size;
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

static void say(const char *text, size_t length) {
  uint8_t ignored[16];
  handle out = get_stdout();
  stream_write(out, text, length, ignored);
  output_drop(out);
}

static void say_words(const char *text) { say(text, length_of(text)); }

static void say_number(int64_t number) {
  char digits[20];
  size_t length = 0;
  do digits[19 - length++] = '0' + number % 10;
  while (number /= 10);
  say(digits + 20 - length, length);
}

static query execute(handle connection, const char *sql, value *parameters, size_t count) {
  query answer;
  connection_execute(connection, sql, length_of(sql), parameters, count, &answer);
  if (!answer.failed) return answer;
  say_words("error ");
  say_number(answer.as.error.kind);
  if (answer.as.error.kind == 4) say(answer.as.error.words.text, answer.as.error.words.length);
  say_words("\n");
  return answer;
}

static int count(void) {
  struct { uint8_t failed; union { handle connection; struct { uint8_t kind; string words; } error; } as; } opened;
  connection_open("default", 7, &opened);
  if (opened.failed) {
    say_words("no database ");
    say_number(opened.as.error.kind);
    say_words("\n");
    return 1;
  }
  handle connection = opened.as.connection;
  execute(connection, "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, n INT)", 0, 0);
  value parameters[2] = {{.kind = TEXT, .as.text = {"visits", 6}}, {.kind = INTEGER, .as.integer = 1}};
  query answer = execute(connection,
    "INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n, 0.5, NULL",
    parameters, 2);
  if (!answer.failed && answer.as.result.row_count == 1) {
    value *values = answer.as.result.rows[0].values;
    say_words("count ");
    say_number(values[0].as.integer);
    say_words(values[1].kind == REAL && values[1].as.real == 0.5 ? " half" : " wrong");
    say_words(values[2].kind == NOTHING ? " null\n" : " wrong\n");
  }
  connection_drop(connection);
  return answer.failed;
}

static int blob(void) {
  result container, body, written, finished, data, stream;
  get_container("default", 7, &container);
  if (container.failed) return say_words("no container\n"), 1;
  handle value = outgoing_value();
  write_data(container.value, "a/b", 3, value, &written);
  write_body(value, &body);
  uint8_t ignored[16];
  stream_write(body.value, "hello blobs", 11, ignored);
  output_drop(body.value);
  finish(value, &finished);
  get_data(container.value, "a/b", 3, 6, -1, &data);
  if (written.failed || finished.failed || data.failed) return say_words("no blob\n"), 1;
  consume(data.value, &stream);
  struct { uint8_t failed; char *bytes; size_t length; } read;
  stream_read(stream.value, 100, &read);
  say(read.bytes, read.length);
  say_words("\n");
  input_drop(stream.value);
  container_drop(container.value);
  return 0;
}

static int greet(void) {
  struct { uint8_t failed; union { string value; struct { uint8_t kind; string words; } error; } as; } got;
  variable_get("greeting", 8, &got);
  if (got.failed) return say_words("no greeting\n"), 1;
  say(got.as.value.text, got.as.value.length);
  say_words("\n");
  return 0;
}

EXPORT("wasi:cli/run@0.2.12#run") int32_t run(void) {
  struct { string *items; size_t count; } arguments;
  get_arguments(&arguments);
  int failed = 0;
  for (size_t index = 1; index < arguments.count; index++) {
    switch (arguments.items[index].text[0]) {
      case 'c': failed |= count(); break;
      case 'b': failed |= blob(); break;
      case 'g': failed |= greet(); break;
      default: failed = 1;
    }
  }
  return failed;
}
