// SPDX-License-Identifier: Apache-2.0
//
// Load that reads what it gets: keeps CONNECTIONS requests under way and checks that each response is
// wholly of one release, its X-Release header and every line of its body the same word. For each line
// on stdin it prints what happened since the last one, as JSON, and counts anew; it ends with stdin.
//
//   reload_load PORT CONNECTIONS PATH
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most_us = 4000000 };

struct connection {
  int fd;
  double sent;  // when the request was
  size_t got;
  char bytes[4096];
};

static struct {
  unsigned long responses;
  unsigned long mixed;       // not of one release
  unsigned long bad_status;  // not 200, or no HTTP
  unsigned long refused;     // connections
  unsigned long unanswered;  // closed or reset before the first byte of an answer
  unsigned long cut;         // in the middle of one
  unsigned long closed;      // after an answer that said so
} tally;
static unsigned* histogram;
static struct sockaddr_in server;
static char request[512];
static int request_size, loop;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void ask(struct connection* c) {
  c->got = 0;
  c->sent = now();
  // A failure shows when the answer is read.
  if (send(c->fd, request, (size_t)request_size, MSG_NOSIGNAL) < 0 && errno == ENOBUFS) exit(1);
}

static void open_connection(struct connection* c) {
  for (int tries = 0;; ++tries) {
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr*)&server, sizeof server) == 0) break;
    close(c->fd);
    ++tally.refused;
    if (tries == 1000) {
      fprintf(stderr, "nobody accepts\n");
      exit(1);
    }
    usleep(1000);
  }
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event);
  ask(c);
}

static const char* field(const char* head, const char* name) {
  const size_t size = strlen(name);
  for (const char* line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
    if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') {
      line += 3 + size;
      return line + strspn(line, " ");
    }
  }
  return NULL;
}

// 1: a whole response has been read and counted; 2: and the server closes; 0: more is to come.
static int judge(struct connection* c) {
  c->bytes[c->got] = 0;
  char* end = strstr(c->bytes, "\r\n\r\n");
  if (!end) return 0;
  *end = 0;
  const char* length = field(c->bytes, "content-length");
  const char* release = field(c->bytes, "x-release");
  const char* connection = field(c->bytes, "connection");
  const size_t body_size = length ? strtoul(length, NULL, 10) : 0;
  const char* body = end + 4;
  if ((size_t)(c->bytes + c->got - body) < body_size) {
    *end = '\r';
    return 0;
  }
  ++tally.responses;
  double took = now() - c->sent;
  ++histogram[took < most_us ? (int)took : most_us - 1];
  if (strncmp(c->bytes, "HTTP/1.1 200", 12) != 0) {
    ++tally.bad_status;
  } else {
    const size_t word = release ? strcspn(release, "\r") : 0;
    int is_one = word > 0 && body_size > 0;
    for (const char* line = body; is_one && line < body + body_size; line += word + 1) {
      is_one = (size_t)(body + body_size - line) > word && memcmp(line, release, word) == 0 &&
               line[word] == '\n';
    }
    if (!is_one) ++tally.mixed;
  }
  return connection && strncasecmp(connection, "close", 5) == 0 ? 2 : 1;
}

static void reopen(struct connection* c) {
  close(c->fd);
  open_connection(c);
}

static void read_some(struct connection* c) {
  const ssize_t got = recv(c->fd, c->bytes + c->got, sizeof c->bytes - 1 - c->got, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    if (c->got == 0) ++tally.unanswered;
    else ++tally.cut;
    reopen(c);
    return;
  }
  c->got += (size_t)got;
  switch (judge(c)) {
    case 1:
      ask(c);
      break;
    case 2:
      ++tally.closed;
      reopen(c);
      break;
    default:
      if (c->got < sizeof c->bytes - 1) break;
      ++tally.bad_status;
      reopen(c);
  }
}

static void report(double began) {
  unsigned long all = 0, seen = 0;
  for (int i = 0; i < most_us; ++i) all += histogram[i];
  int p50 = -1, p99 = -1, p999 = -1, most = 0;
  for (int i = 0; i < most_us; ++i) {
    if (!histogram[i]) continue;
    seen += histogram[i];
    most = i;
    if (p50 < 0 && seen * 2 >= all) p50 = i;
    if (p99 < 0 && seen * 100 >= all * 99) p99 = i;
    if (p999 < 0 && seen * 1000 >= all * 999) p999 = i;
  }
  printf("{\"seconds\":%.6f,\"responses\":%lu,\"mixed\":%lu,\"bad_status\":%lu,\"refused\":%lu,"
         "\"unanswered\":%lu,\"cut\":%lu,\"closed\":%lu,\"p50\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d}\n",
         (now() - began) / 1e6, tally.responses, tally.mixed, tally.bad_status, tally.refused,
         tally.unanswered, tally.cut, tally.closed, p50, p99, p999, most);
  fflush(stdout);
  memset(&tally, 0, sizeof tally);
  memset(histogram, 0, most_us * sizeof *histogram);
}

int main(int count, char** words) {
  if (count != 4) return 2;
  const int connections = atoi(words[2]);
  server.sin_family = AF_INET;
  server.sin_port = htons((unsigned short)atoi(words[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  request_size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", words[3]);
  histogram = calloc(most_us, sizeof *histogram);
  struct connection* all = calloc((size_t)connections, sizeof *all);
  loop = epoll_create1(0);
  struct epoll_event events[256] = {{.events = EPOLLIN}};
  epoll_ctl(loop, EPOLL_CTL_ADD, STDIN_FILENO, events);  // data.ptr is null
  for (int i = 0; i < connections; ++i) open_connection(all + i);
  double began = now();
  for (;;) {
    const int ready = epoll_wait(loop, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.ptr) {
        read_some(events[i].data.ptr);
        continue;
      }
      char line[16];
      if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
      report(began);
      began = now();
    }
  }
}
