// A component with wasi:cli/run. Its first argument says how it ends.
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") extern int32_t get_stdout(void);
IMPORT("wasi:cli/exit@0.2.12", "exit") extern void leave(int32_t failed);
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") extern void get_arguments(void *);
IMPORT("wasi:io/streams@0.2.12", "[method]output-stream.blocking-write-and-flush")
extern void stream_write(int32_t, const void *, size_t, void *);
IMPORT("wasi:io/streams@0.2.12", "[resource-drop]output-stream") extern void output_drop(int32_t);

static uint8_t heap[1 << 14];
static size_t used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  used += size;
  return heap + used - size;
}

EXPORT("wasi:cli/run@0.2.12#run") int32_t run(void) {
  struct { struct { char *text; size_t length; } *items; size_t count; } arguments;
  get_arguments(&arguments);
  uint8_t ignored[16];
  int32_t out = get_stdout();
  stream_write(out, "ran\n", 4, ignored);
  output_drop(out);
  switch (arguments.count > 1 ? arguments.items[1].text[0] : 0) {
    case 'f': return 1; // err
    case 'e': leave(1);
    case 't': __builtin_trap();
    case 'm':
      while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {}
      __builtin_trap();
    case 'l': for (volatile unsigned turns = 0;;) turns++;
    default: return 0;
  }
}
