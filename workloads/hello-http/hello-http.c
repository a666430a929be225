/*
 * hello-http: an HTTP/1.1 server for WASI preview 1. It accepts on the listening sockets that are
 * open at start (from descriptor 3 on; LISTEN_FDS tells how many) and serves all connections from
 * one loop around poll().
 *
 *   GET  /                 the greeting (GREETING) and the pod's name (POD_NAME or HOSTNAME)
 *   GET  /healthz          200 ok
 *   GET  /env?name=NAME    the value of an environment variable
 *   GET  /file?path=PATH   a file of a mounted volume
 *   POST /echo             the request's body, streamed back (Content-Length)
 *   GET  /exit?code=N      answers, then ends with exit code N
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IN_SIZE = 8192, OUT_SIZE = 16384, HEAD_ROOM = 512, MAX_CONNECTIONS = 1024, MAX_LISTENERS = 8 };

struct connection {
  int fd;
  int file;            /* a file that is being sent, or -1 */
  bool last;           /* close when all is sent */
  bool ended;          /* the peer sends no more */
  size_t in_used, out_used, out_sent;
  unsigned long long echo_left; /* bytes of the body still to be echoed */
  unsigned long long skip_left; /* bytes of a body nobody wants */
  unsigned long long file_left; /* bytes the file still owes */
  char in[IN_SIZE];
  char out[OUT_SIZE];
};

struct request {
  const char *method, *path, *query;
  unsigned long long length;
  bool keep_alive, head, chunked, expects_continue;
};

static struct connection *connections[MAX_CONNECTIONS];
static struct pollfd polled[MAX_LISTENERS + MAX_CONNECTIONS];
static int open_connections, listeners;
static int exit_code = -1;
static char greeting[1024];

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) return;
}

static bool append(struct connection *c, const char *bytes, size_t length) {
  if (length > OUT_SIZE - c->out_used) return false;
  memcpy(c->out + c->out_used, bytes, length);
  c->out_used += length;
  return true;
}

static void append_text(struct connection *c, const char *text) { append(c, text, strlen(text)); }

static void append_number(struct connection *c, unsigned long long number) {
  char digits[24];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  append(c, digits + at, sizeof digits - at);
}

static void respond_head(struct connection *c, const struct request *r, const char *status,
                         unsigned long long length) {
  append_text(c, "HTTP/1.1 ");
  append_text(c, status);
  append_text(c, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
  append_number(c, length);
  append_text(c, r->keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  if (!r->keep_alive) c->last = true;
}

static void respond(struct connection *c, const struct request *r, const char *status,
                    const char *body) {
  size_t length = strlen(body);
  /* What does not fit beside the head is cut: only /env can be that long. */
  if (length > OUT_SIZE - c->out_used - HEAD_ROOM) length = OUT_SIZE - c->out_used - HEAD_ROOM;
  respond_head(c, r, status, length);
  if (!r->head) append(c, body, length);
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Finds `name` in a query and decodes its value; false when it is not there or too long. */
static bool query_value(const char *query, const char *name, char *value, size_t size) {
  size_t name_length = strlen(name);
  while (query && *query) {
    if (!strncmp(query, name, name_length) && query[name_length] == '=') {
      size_t used = 0;
      for (query += name_length + 1; *query && *query != '&'; query++) {
        if (used + 1 >= size) return false;
        if (*query == '%' && hex(query[1]) >= 0 && hex(query[2]) >= 0) {
          value[used++] = (char)(hex(query[1]) * 16 + hex(query[2]));
          query += 2;
        } else {
          value[used++] = *query == '+' ? ' ' : *query;
        }
      }
      value[used] = 0;
      return true;
    }
    query = strchr(query, '&');
    if (query) query++;
  }
  return false;
}

static void respond_file(struct connection *c, const struct request *r) {
  char path[1024];
  struct stat stats;
  if (!query_value(r->query, "path", path, sizeof path)) {
    respond(c, r, "400 Bad Request", "want /file?path=PATH\n");
    return;
  }
  int file = open(path, O_RDONLY);
  if (file < 0) {
    bool refused = errno == EACCES || errno == EPERM || errno == ENOTCAPABLE;
    respond(c, r, refused ? "403 Forbidden" : "404 Not Found", strerror(errno));
  } else if (fstat(file, &stats) < 0 || !S_ISREG(stats.st_mode)) {
    close(file);
    respond(c, r, "403 Forbidden", "not a regular file\n");
  } else {
    respond_head(c, r, "200 OK", (unsigned long long)stats.st_size);
    if (r->head || stats.st_size == 0) {
      close(file);
    } else {
      c->file = file;
      c->file_left = (unsigned long long)stats.st_size;
    }
  }
}

static void answer(struct connection *c, struct request *r) {
  char value[256];
  bool echo = !strcmp(r->path, "/echo");
  if (r->chunked) {
    r->keep_alive = false;
    respond(c, r, "411 Length Required", "send a Content-Length\n");
    return;
  }
  if (r->expects_continue && r->length > 0) append_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
  if (echo && !r->head) c->echo_left = r->length;
  else c->skip_left = r->length;

  if (echo) {
    respond_head(c, r, "200 OK", r->length);
  } else if (!strcmp(r->path, "/")) {
    respond(c, r, "200 OK", greeting);
  } else if (!strcmp(r->path, "/healthz")) {
    respond(c, r, "200 OK", "ok\n");
  } else if (!strcmp(r->path, "/env")) {
    const char *found =
        query_value(r->query, "name", value, sizeof value) ? getenv(value) : NULL;
    respond(c, r, found ? "200 OK" : "404 Not Found", found ? found : "no such variable\n");
  } else if (!strcmp(r->path, "/file")) {
    respond_file(c, r);
  } else if (!strcmp(r->path, "/exit")) {
    exit_code = query_value(r->query, "code", value, sizeof value) ? atoi(value) & 0xff : 0;
    r->keep_alive = false;
    respond(c, r, "200 OK", "bye\n");
  } else {
    respond(c, r, "404 Not Found", "not found\n");
  }
}

/* Digits only, and not too many: anything else would be ambiguous. */
static bool parse_length(const char *text, unsigned long long *length) {
  *length = 0;
  const char *start = text;
  for (; *text >= '0' && *text <= '9'; text++) *length = *length * 10 + (unsigned)(*text - '0');
  return text > start && text - start < 16 && *text == 0;
}

static bool parse_header(struct request *r, char *line) {
  char *value = strchr(line, ':');
  if (!value || value == line) return false;
  *value++ = 0;
  while (*value == ' ' || *value == '\t') value++;
  for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
    *--end = 0;
  if (!strcasecmp(line, "content-length")) {
    unsigned long long length;
    if (!parse_length(value, &length) || (r->length && r->length != length)) return false;
    r->length = length;
  } else if (!strcasecmp(line, "transfer-encoding")) {
    r->chunked = true;
  } else if (!strcasecmp(line, "connection")) {
    if (!strcasecmp(value, "close")) r->keep_alive = false;
    else if (!strcasecmp(value, "keep-alive")) r->keep_alive = true;
  } else if (!strcasecmp(line, "expect")) {
    r->expects_continue = !strcasecmp(value, "100-continue");
  }
  return true;
}

/* Parses a head that ends in an empty line, in place. */
static bool parse_head(struct request *r, char *head) {
  char *line_end = strstr(head, "\r\n");
  char *path = line_end ? strchr(head, ' ') : NULL;
  if (!path || path > line_end) return false;
  *line_end = 0;
  *path++ = 0;
  char *version = strchr(path, ' ');
  if (!version || *path != '/') return false;
  *version++ = 0;
  if (strncmp(version, "HTTP/1.", 7)) return false;
  r->method = head;
  r->head = !strcmp(head, "HEAD");
  r->keep_alive = version[7] != '0';
  char *query = strchr(path, '?');
  if (query) *query++ = 0;
  r->path = path;
  r->query = query;
  for (char *line = line_end + 2; *line != '\r'; line = line_end + 2) {
    line_end = strstr(line, "\r\n");
    if (!line_end) return false;
    *line_end = 0;
    if (!parse_header(r, line)) return false;
  }
  return true;
}

static void drop_input(struct connection *c, size_t length) {
  memmove(c->in, c->in + length, c->in_used - length);
  c->in_used -= length;
}

static void refuse(struct connection *c, const char *status) {
  struct request r = {.keep_alive = false};
  respond(c, &r, status, "");
  c->in_used = 0;
}

/* Takes one step with what has arrived; false when there is nothing to do now. */
static bool step(struct connection *c) {
  if (c->file >= 0) {
    size_t room = OUT_SIZE - c->out_used;
    if (room == 0) return false;
    if (room > c->file_left) room = (size_t)c->file_left;
    ssize_t count = read(c->file, c->out + c->out_used, room);
    if (count <= 0) c->last = true; /* the file shrank: the promised length cannot be kept */
    else c->out_used += (size_t)count, c->file_left -= (size_t)count;
    if (count <= 0 || c->file_left == 0) close(c->file), c->file = -1;
    return true;
  }
  if (c->echo_left > 0) {
    size_t part = c->in_used, room = OUT_SIZE - c->out_used;
    if (part > c->echo_left) part = (size_t)c->echo_left;
    if (part > room) part = room;
    if (part == 0) return false;
    append(c, c->in, part);
    drop_input(c, part);
    c->echo_left -= part;
    return true;
  }
  if (c->skip_left > 0) {
    size_t part = c->in_used < c->skip_left ? c->in_used : (size_t)c->skip_left;
    drop_input(c, part);
    c->skip_left -= part;
    return part > 0;
  }
  if (c->last || c->in_used == 0 || OUT_SIZE - c->out_used < 2 * HEAD_ROOM + sizeof greeting)
    return false;
  c->in[c->in_used] = 0;
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) {
    if (c->in_used < IN_SIZE - 1) return false;
    refuse(c, "431 Request Header Fields Too Large");
    return true;
  }
  size_t head_length = (size_t)(end - c->in) + 4;
  end[2] = '\r';
  struct request request = {.length = 0};
  if (parse_head(&request, c->in)) {
    answer(c, &request);
    drop_input(c, head_length);
  } else {
    refuse(c, "400 Bad Request");
  }
  return true;
}

/* Sends what is waiting; false when the connection is broken. */
static bool flush(struct connection *c) {
  while (c->out_sent < c->out_used) {
    ssize_t count = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, 0);
    if (count < 0) return errno == EAGAIN;
    c->out_sent += (size_t)count;
  }
  c->out_sent = c->out_used = 0;
  return true;
}

/* Works until the connection has to wait; false when it is done. */
static bool serve(struct connection *c) {
  do {
    while (step(c)) continue;
    if (!flush(c)) return false;
    if (c->out_used > 0) return true;
  } while (c->file >= 0 || (c->in_used > 0 && step(c)));
  if (!flush(c)) return false;
  if (c->out_used > 0) return true;
  if (c->ended) return false;
  return !c->last || c->echo_left > 0 || c->skip_left > 0;
}

static bool receive(struct connection *c) {
  ssize_t count = recv(c->fd, c->in + c->in_used, IN_SIZE - 1 - c->in_used, 0);
  if (count < 0) return errno == EAGAIN;
  if (count == 0) c->ended = true;
  c->in_used += (size_t)count;
  return serve(c);
}

static void hang_up(int index) {
  struct connection *c = connections[index];
  if (c->file >= 0) close(c->file);
  close(c->fd);
  free(c);
  connections[index] = connections[--open_connections];
}

static void welcome(int listener) {
  while (open_connections < MAX_CONNECTIONS) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    struct connection *c = malloc(sizeof *c);
    if (!c) {
      close(fd);
      return;
    }
    memset(c, 0, offsetof(struct connection, in));
    c->fd = fd;
    c->file = -1;
    connections[open_connections++] = c;
  }
}

static short interest(const struct connection *c) {
  short events = 0;
  if (c->out_used > 0) events |= POLLOUT;
  if (!c->ended && c->in_used < IN_SIZE - 1 && c->out_used < OUT_SIZE / 2) events |= POLLIN;
  return events;
}

static int run(void) {
  while (exit_code < 0) {
    bool full = open_connections == MAX_CONNECTIONS;
    for (int i = 0; i < listeners; i++)
      polled[i] = (struct pollfd){.fd = full ? -1 : 3 + i, .events = POLLIN};
    int count = open_connections;
    for (int i = 0; i < count; i++)
      polled[listeners + i] =
          (struct pollfd){.fd = connections[i]->fd, .events = interest(connections[i])};
    if (poll(polled, (nfds_t)(listeners + count), -1) < 0) return 1;
    /* Backwards, because hanging up moves the last connection into the gap. */
    for (int i = count - 1; i >= 0; i--) {
      short events = polled[listeners + i].revents;
      if (events == 0) continue;
      struct connection *c = connections[i];
      bool alive = events & (POLLIN | POLLHUP) ? receive(c) : !(events & POLLERR);
      if (alive && events & POLLOUT) alive = serve(c);
      if (!alive) hang_up(i);
    }
    for (int i = 0; i < listeners; i++)
      if (polled[i].revents & POLLIN) welcome(3 + i);
  }
  return exit_code;
}

int main(void) {
  const char *count = getenv("LISTEN_FDS");
  const char *hello = getenv("GREETING");
  const char *pod = getenv("POD_NAME");
  if (!pod) pod = getenv("HOSTNAME");
  listeners = count ? atoi(count) : 1;
  if (listeners < 1 || listeners > MAX_LISTENERS) {
    say("hello-http: want 1 to 8 listening sockets (LISTEN_FDS)\n");
    return 2;
  }
  for (int i = 0; i < listeners; i++) {
    if (fcntl(3 + i, F_SETFL, O_NONBLOCK) < 0) {
      say("hello-http: descriptor 3 is not a listening socket; give the container a port\n");
      return 2;
    }
  }
  strlcat(greeting, hello && *hello ? hello : "Hello from Kubun", sizeof greeting - 2);
  if (pod) {
    strlcat(greeting, ", this is ", sizeof greeting - 2);
    strlcat(greeting, pod, sizeof greeting - 2);
  }
  strlcat(greeting, "\n", sizeof greeting);
  say("hello-http: ready\n");
  return run();
}
