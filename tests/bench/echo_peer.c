/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP echo for the bench: `echo_peer PORT` sends back what each connection sends, in one thread.
 * It reads no more than it can send at once, so that it never has to keep anything.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char bytes[1 << 18];

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int count, char** words) {
  if (count != 2) return fprintf(stderr, "usage: echo_peer PORT\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in where = {.sin_family = AF_INET,
                              .sin_port = htons((unsigned short)atoi(words[1])),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr*)&where, sizeof where) != 0 || listen(listener, 511) != 0) {
    return perror("echo_peer"), 1;
  }
  int epoll = epoll_create1(0);
  watch(epoll, listener);
  struct epoll_event ready[64];
  for (;;) {
    int found = epoll_wait(epoll, ready, 64, -1);
    for (int i = 0; i < found; ++i) {
      int fd = ready[i].data.fd;
      if (fd == listener) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, client);
        continue;
      }
      ssize_t size = recv(fd, bytes, sizeof bytes, 0);
      /* The socket blocks: the requester reads what it asked for. */
      if (size <= 0 || send(fd, bytes, (size_t)size, 0) != size) close(fd);
    }
  }
}
