// Writes a file and reads it back, in pieces of 4 KiB: files PATH MIB.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  static char piece[4096];
  if (argc < 3) return 2;
  long pieces = atol(argv[2]) * 256;
  int file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0) return 3;
  for (long left = pieces; left > 0; left--) {
    if (write(file, piece, sizeof piece) != sizeof piece) return 4;
  }
  if (lseek(file, 0, SEEK_SET) != 0) return 5;
  for (long left = pieces; left > 0; left--) {
    if (read(file, piece, sizeof piece) != sizeof piece) return 6;
  }
  return close(file) == 0 && unlink(argv[1]) == 0 ? 0 : 7;
}
