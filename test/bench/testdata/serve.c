// Answers HTTP on the listening socket 3, one connection after the other, without poll(), which not
// every runtime has for sockets.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

static void serve(int connection) {
  char head[4096];
  size_t used = 0;
  for (;;) {
    ssize_t got = read(connection, head + used, sizeof head - 1 - used);
    if (got <= 0) return;
    used += (size_t)got;
    head[used] = 0;
    if (strstr(head, "\r\n\r\n") == NULL) continue;
    if (write(connection, ANSWER, sizeof ANSWER - 1) < 0) return;
    used = 0;
  }
}

int main(void) {
  for (;;) {
    int connection = accept(3, NULL, NULL);
    if (connection < 0) return 1;
    serve(connection);
    close(connection);
  }
}
