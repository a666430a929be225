// The page of the guestbook. What guests wrote is another service's to keep: this one asks it over
// wasi:http/outgoing-handler, by the name of its Service.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../wasi-http-c/wasi-http.h"

#define MAX_PAGE (256 * 1024)
#define MAX_MESSAGES (64 * 1024)
#define MAX_FORM 1024
#define HTML "text/html; charset=utf-8"

typedef struct {
  char *text;
  size_t size;
} page;

static void add(page *to, const char *text, size_t size) {
  if (to->size + size > MAX_PAGE) size = MAX_PAGE - to->size;
  memcpy(to->text + to->size, text, size);
  to->size += size;
}

static void say(page *to, const char *text) { add(to, text, strlen(text)); }

/** Text from others, so that none of it is markup. */
static void say_safely(page *to, const char *text, size_t size) {
  for (size_t index = 0; index < size; index++) {
    switch (text[index]) {
      case '<': say(to, "&lt;"); break;
      case '>': say(to, "&gt;"); break;
      case '&': say(to, "&amp;"); break;
      case '"': say(to, "&quot;"); break;
      default: add(to, text + index, 1);
    }
  }
}

static void send(page *from, int32_t out, int status) {
  http_respond(out, status, HTML, from->text, from->size, NULL);
  free(from->text);
}

/** What the ConfigMap says, by wasi:config. */
static char *setting(const char *key, const char *fallback) {
  char *value = config_get(key);
  return value == NULL ? strdup(fallback) : value;
}

static http_answer ask_store(const char *method, const char *body, size_t size) {
  char *store = setting("STORE_URL", "http://guestbook-store");
  char *token = setting("STORE_TOKEN", "");
  char url[256];
  snprintf(url, sizeof url, "%s/messages", store);
  const char *const header[2] = {"x-guestbook-token", token};
  http_answer answer = http_fetch(method, url, header, body, size, MAX_MESSAGES);
  free(store);
  free(token);
  return answer;
}

static void fail(int32_t out, const http_answer *answer) {
  page text = {malloc(MAX_PAGE), 0};
  say(&text, "<!doctype html><title>Guestbook</title><p>The store does not answer: ");
  if (answer->status == 0) {
    say_safely(&text, answer->error, strlen(answer->error));
  } else {
    char status[32];
    snprintf(status, sizeof status, "status %d, ", answer->status);
    say(&text, status);
    say_safely(&text, answer->body.data, answer->body.size);
  }
  say(&text, "\n");
  send(&text, out, 502);
}

static void show(int32_t out) {
  http_answer answer = ask_store("GET", NULL, 0);
  if (answer.status != 200) {
    fail(out, &answer);
  } else {
    char *title = setting("TITLE", "Guestbook");
    page text = {malloc(MAX_PAGE), 0};
    say(&text, "<!doctype html>\n<title>");
    say_safely(&text, title, strlen(title));
    say(&text, "</title>\n<h1>");
    say_safely(&text, title, strlen(title));
    say(&text, "</h1>\n<form method=post action=/sign><input name=message maxlength=200>"
               "<button>Sign</button></form>\n<ul>\n");
    const char *at = answer.body.data, *end = at + answer.body.size;
    while (at < end) {
      const char *line = memchr(at, '\n', (size_t)(end - at));
      if (line == NULL) line = end;
      say(&text, "<li>");
      say_safely(&text, at, (size_t)(line - at));
      say(&text, "</li>\n");
      at = line + 1;
    }
    say(&text, "</ul>\n");
    send(&text, out, 200);
    free(title);
  }
  free(answer.body.data);
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if ((digit | 32) >= 'a' && (digit | 32) <= 'f') return (digit | 32) - 'a' + 10;
  return -1;
}

/** A form field in place: `+` is a blank, `%41` a byte. */
static size_t decode(char *text, size_t size) {
  size_t to = 0;
  for (size_t from = 0; from < size && text[from] != '&'; from++) {
    char byte = text[from] == '+' ? ' ' : text[from];
    if (byte == '%' && from + 2 < size && hex(text[from + 1]) >= 0 && hex(text[from + 2]) >= 0) {
      byte = (char)(hex(text[from + 1]) * 16 + hex(text[from + 2]));
      from += 2;
    }
    text[to++] = byte;
  }
  return to;
}

static void sign(http_request *request, int32_t out) {
  char form[MAX_FORM];
  size_t size = 0;
  ptrdiff_t got;
  while (size < sizeof form && (got = http_read(request, form + size, sizeof form - size)) > 0) {
    size += (size_t)got;
  }
  if (size < 8 || memcmp(form, "message=", 8) != 0) {
    const char *why = "the form has one field, message\n";
    return http_respond(out, 400, "text/plain", why, strlen(why), NULL);
  }
  size = decode(form + 8, size - 8);
  http_answer answer = ask_store("POST", form + 8, size);
  if (answer.status != 201) {
    fail(out, &answer);
  } else {
    const char *const there[2] = {"location", "/"};
    http_respond(out, 303, "text/plain", "signed\n", 7, there);
  }
  free(answer.body.data);
}

void http_handle(http_request *request, int32_t out) {
  const char *path = request->path.data;
  if (strcmp(path, "/healthz") == 0) return http_respond(out, 200, "text/plain", "ok\n", 3, NULL);
  if (strcmp(path, "/sign") == 0 && strcmp(request->method, "POST") == 0) return sign(request, out);
  if (strcmp(path, "/") == 0) return show(out);
  http_respond(out, 404, "text/plain", "there is nothing here\n", 22, NULL);
}
