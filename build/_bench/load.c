/* The load of the socket benchmarks: N clients that ask over a Unix socket, again as soon as they are answered.
 *
 *   load SOCKET CLIENTS REQUESTS each|kept EXPECT < REQUEST
 *
 * `each` takes a connection for every request and reads until it is closed; `kept` reads by Content-Length and goes on
 * with the same connection. An answer without EXPECT, or a connection that fails, is an error. Prints one JSON object,
 * times in milliseconds. In C, so that the one that asks takes little of the machine from the one that answers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROOM 16384
struct client {
    int fd;
    size_t sent, got;
    double began;
    char answer[ROOM];
};
static char request[ROOM];
static size_t size;
static struct sockaddr_un place = {.sun_family = AF_UNIX};
static int poller, kept;
static long begun, done, errors, wanted;
static double *times;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void hang_up(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void begin(struct client *c) {
    if (begun >= wanted) {
        hang_up(c);
        return;
    }
    begun++;
    c->sent = c->got = 0;
    c->began = now();
    if (c->fd < 0) {
        c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        /* A full backlog blocks here for as long as it takes: that time is the client's, and is counted. */
        if (connect(c->fd, (struct sockaddr *)&place, sizeof place)) {
            errors++, done++;
            hang_up(c);
            begin(c);
            return;
        }
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
    }
    ssize_t n = send(c->fd, request, size, MSG_NOSIGNAL);
    c->sent = n > 0 ? (size_t)n : 0;
}

static void end(struct client *c, const char *expect, int whole) {
    c->answer[c->got < ROOM ? c->got : ROOM - 1] = 0;
    if (!whole || c->sent != size || !strstr(c->answer, expect)) {
        errors++;
        hang_up(c);
    } else
        times[done - errors] = now() - c->began;
    done++;
    if (!kept) hang_up(c);
    begin(c);
}

static int complete(struct client *c) {
    c->answer[c->got] = 0;
    char *body = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "content-length:");
    if (!body || !length) return 0;
    return c->got >= (size_t)(body + 4 - c->answer) + strtoul(length + 15, 0, 10);
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    strncpy(place.sun_path, argv[1], sizeof place.sun_path - 1);
    int clients = atoi(argv[2]);
    wanted = atol(argv[3]);
    kept = !strcmp(argv[4], "kept");
    for (ssize_t n; (n = read(0, request + size, ROOM - size)) > 0;) size += n;
    times = calloc(wanted + 1, sizeof *times);
    poller = epoll_create1(0);
    struct client *all = calloc(clients, sizeof *all);
    double began = now();
    for (int i = 0; i < clients; i++) all[i].fd = -1, begin(&all[i]);
    while (done < wanted) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, 10000);
        if (n == 0) {
            fprintf(stderr, "no answer for 10 s\n");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd < 0) continue;
            ssize_t got = read(c->fd, c->answer + c->got, ROOM - 1 - c->got);
            if (got < 0 && errno == EAGAIN) continue;
            if (got > 0) {
                c->got += got;
                if (kept && complete(c)) end(c, argv[5], 1);
            } else
                end(c, argv[5], !kept && got == 0);
        }
    }
    double took = now() - began;
    long good = done - errors;
    qsort(times, good, sizeof *times, order);
    printf("{\"requests\": %ld, \"errors\": %ld, \"per_second\": %.0f, \"p50\": %.3f, \"p99\": %.3f, \"most\": %.3f}\n",
           done, errors, good / (took / 1e3), good ? times[good / 2] : -1, good ? times[(long)(good * .99)] : -1,
           good ? times[good - 1] : -1);
    return 0;
}
