// A component with wasi:cli/run that listens: each connection is echoed, until it sends "q". The
// port is 9000.
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define STREAMS "wasi:io/streams@0.2.12"
#define TCP "wasi:sockets/tcp@0.2.12"
#define POLL "wasi:io/poll@0.2.12"

typedef int32_t handle;
enum { WOULD_BLOCK = 8, PORT = 9000 };

IMPORT("wasi:sockets/instance-network@0.2.12", "instance-network")
extern handle instance_network(void);
IMPORT("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket")
extern void create_tcp_socket(int32_t family, void *);
IMPORT(TCP, "[method]tcp-socket.start-bind")
extern void start_bind(handle, handle, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t,
                       int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, void *);
IMPORT(TCP, "[method]tcp-socket.finish-bind") extern void finish_bind(handle, void *);
IMPORT(TCP, "[method]tcp-socket.start-listen") extern void start_listen(handle, void *);
IMPORT(TCP, "[method]tcp-socket.finish-listen") extern void finish_listen(handle, void *);
IMPORT(TCP, "[method]tcp-socket.accept") extern void accept_socket(handle, void *);
IMPORT(TCP, "[method]tcp-socket.subscribe") extern handle subscribe(handle);
IMPORT(TCP, "[resource-drop]tcp-socket") extern void socket_drop(handle);
IMPORT(POLL, "[method]pollable.block") extern void pollable_block(handle);
IMPORT(POLL, "[resource-drop]pollable") extern void pollable_drop(handle);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
extern void stream_write(handle, const void *, size_t, void *);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
extern void stream_read(handle, int64_t, void *);
IMPORT(STREAMS, "[resource-drop]output-stream") extern void output_drop(handle);
IMPORT(STREAMS, "[resource-drop]input-stream") extern void input_drop(handle);

static uint8_t heap[1 << 16];
static size_t used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  used += size;
  return heap + used - size;
}

/** True when the peer asked for the end. */
static int echo(handle input, handle output) {
  for (;;) {
    struct { uint8_t failed; uint8_t *bytes; size_t length; } read;
    uint8_t ignored[16];
    used = 0;
    stream_read(input, 4096, &read);
    if (read.failed) return 0;
    stream_write(output, read.bytes, read.length, ignored);
    if (read.length > 0 && read.bytes[0] == 'q') return 1;
  }
}

EXPORT("wasi:cli/run@0.2.12#run") int32_t run(void) {
  struct { uint8_t failed; union { uint8_t code; handle value; } as; } made;
  struct { uint8_t failed; uint8_t code; } done;
  create_tcp_socket(0, &made);
  if (made.failed) return 1;
  handle listener = made.as.value;
  start_bind(listener, instance_network(), 0, PORT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, &done);
  if (done.failed) return 1;
  finish_bind(listener, &done);
  if (done.failed) return 1;
  start_listen(listener, &done);
  if (done.failed) return 1;
  finish_listen(listener, &done);
  if (done.failed) return 1;
  for (int over = 0; !over;) {
    struct { uint8_t failed; union { uint8_t code; handle parts[3]; } as; } accepted;
    accept_socket(listener, &accepted);
    if (accepted.failed && accepted.as.code != WOULD_BLOCK) return 1;
    if (accepted.failed) {
      handle pollable = subscribe(listener);
      pollable_block(pollable);
      pollable_drop(pollable);
      continue;
    }
    over = echo(accepted.as.parts[1], accepted.as.parts[2]);
    input_drop(accepted.as.parts[1]);
    output_drop(accepted.as.parts[2]);
    socket_drop(accepted.as.parts[0]);
  }
  socket_drop(listener);
  return 0;
}
