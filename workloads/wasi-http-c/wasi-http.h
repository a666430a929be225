// wasi:http for C without generated bindings: what a small service needs, over the canonical ABI
// of the component model. Strings that come from the host are the caller's to free.
#ifndef WASI_HTTP_H
#define WASI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes with a length; the text of one that came from the host also ends in NUL. */
typedef struct {
  char *data;
  size_t size;
} http_text;

/** A request as it came in; its body is read while it is open. */
typedef struct {
  char method[16];
  /** Path and query as sent, `/` when there is none. */
  http_text path;
  int32_t handle, body, stream;
} http_request;

/** The answer of another service, whole. */
typedef struct {
  /** 0 when there was no answer; then `error` says why, in wasi:http's words. */
  int status;
  const char *error;
  http_text body;
} http_answer;

/** Implemented by the service; it answers by http_respond, or http_begin and what follows. */
void http_handle(http_request *request, int32_t out);

/** Reads up to `limit` bytes of the body that are left; -1 when the client broke off. */
ptrdiff_t http_read(http_request *request, char *into, size_t limit);
/** The first value of a header; without one `data` is NULL. */
http_text http_header(const http_request *request, const char *name);

/** Answers with a whole body. `more` is a header's name and value, or NULL. */
void http_respond(int32_t out, int status, const char *type, const char *body, size_t size,
                  const char *const more[2]);

/** An answer that is written piece by piece. */
typedef struct {
  int32_t body, stream;
} http_response;
http_response http_begin(int32_t out, int status, const char *type, const char *const more[2]);
/** False when the client is gone. */
bool http_write(http_response *response, const char *bytes, size_t size);
void http_end(http_response *response);

/**
 * Sends a request and waits for all of the answer, of which at most `limit` bytes are kept. `url`
 * is http://… or https://…; `more` as above.
 */
http_answer http_fetch(const char *method, const char *url, const char *const more[2],
                       const char *body, size_t size, size_t limit);

/** A value of wasi:config, or NULL. In a pod that is its environment. */
char *config_get(const char *key);

#endif
