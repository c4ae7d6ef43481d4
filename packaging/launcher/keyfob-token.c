/* keyfob-token ACCOUNT [OPTIONS]: exactly what `keyfob token` does, without starting Python while an agent runs.
 *
 * Asks the agent's Unix socket. For everything else the `keyfob` command takes this process's place, with the same
 * arguments: other options, no agent, an agent of another user or a silent one, an answer that is cut short, too long
 * or odd, a path that needs more rules than the ones here. What is decided here has to be decided in the same way by
 * app/keyfob/client (fast_token.py, connection.py) and app/keyfob/process/paths.py. For Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT = 90, SILENCE = 3, SIGN_OF_LIFE = 7 }; /* seconds, as in connection.py */
enum { ANSWER_MOST = 256 * 1024, REQUEST_MOST = 1024, SOCKET_PATH_MOST = 100 }; /* bytes */
enum { ABSENT = -1, ODD = -2, KEYCHAIN_EXIT = 4, EXIT_MOST = 255 };
struct output { int exit_code, to; char *text; size_t size; };
#define DIGITS "0123456789"
#define SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "._@-/"

/* Writes the request into `request`. False unless the arguments are a plain question for a token. */
static bool asked_for(int argc, char *const *argv, char *request, bool *json)
{
    const char *ref = NULL, *life = NULL, *accept = NULL;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!strcmp(word, "--min-life") && i + 1 < argc) life = argv[++i];
        else if (!strncmp(word, "--min-life=", 11)) life = word + 11;
        else if (!strcmp(word, "--json") && !accept) accept = "application/json";
        else if (!strcmp(word, "--header") && !accept) accept = "text/x-keyfob-header";
        else if (*word == '-' || ref) return false;
        else ref = word;
    }
    if (!ref || !*ref || ref[strspn(ref, SAFE)] || strstr(ref, "..")) return false;
    if (life && (!*life || life[strspn(life, DIGITS)])) return false;
    *json = accept && *accept == 'a';
    int size = snprintf(request, REQUEST_MOST, "GET /v1/token/%s%s%s HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n"
                        "Accept: %s\r\nContent-Length: 0\r\n\r\n",
                        ref, life ? "?min_life=" : "", life ? life : "", accept ? accept : "text/plain");
    return size > 0 && size < REQUEST_MOST;
}

/* Whether this is a folder or a socket, as `kind` says, of the user's own. */
static bool is_ours(const char *path, mode_t kind)
{
    struct stat found;
    return !stat(path, &found) && found.st_uid == geteuid() && (found.st_mode & S_IFMT) == kind;
}

/* The agent's socket. False if the path is relative, begins with `~` or is too long: Python has rules for these. */
static bool socket_file(char *path)
{
    const char *base = getenv("KEYFOB_SOCK"), *rest = "", *state = getenv("XDG_STATE_HOME");
    char runtime[32];
    if (base && *base) {
        size_t size = strlen(base);
        if (size > 5 && !strcmp(base + size - 5, ".json")) return false; /* describes a port */
    } else if ((base = getenv("KEYFOB_HOME")) && *base) {
        rest = "/run/agent.sock";
    } else {
        snprintf(runtime, sizeof runtime, "/run/user/%u", (unsigned)getuid());
        base = getenv("XDG_RUNTIME_DIR");
        rest = "/keyfob/agent.sock";
        if (!base || *base != '/' || !is_ours(base, S_IFDIR)) base = runtime;
        if (base == runtime && !is_ours(base, S_IFDIR)) {
            base = state && *state ? state : getenv("HOME");
            rest = state && *state ? "/keyfob/run/agent.sock" : "/.local/state/keyfob/run/agent.sock";
        }
    }
    if (!base || *base != '/' || strstr(base, "/..")) return false;
    int size = snprintf(path, SOCKET_PATH_MOST + 1, "%s%s", base, rest);
    return size > 0 && size <= SOCKET_PATH_MOST;
}

/* A new connection with the request sent. No step waits longer than `seconds`. -1 if that fails or another user
 * listens. */
static int connected(const char *path, int seconds, const char *request)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    struct timeval most = {.tv_sec = seconds};
    struct ucred peer;
    socklen_t size = sizeof peer;
    memcpy(place.sun_path, path, strlen(path) + 1);
    int sock = is_ours(path, S_IFSOCK) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (sock >= 0 && !setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most) &&
        !setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) &&
        !connect(sock, (struct sockaddr *)&place, sizeof place) &&
        !getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid() &&
        send(sock, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
        return sock;
    if (sock >= 0) close(sock);
    return -1;
}

/* Whether the agent answers what it answers at once, while it works on what takes long. */
static bool lives(const char *path)
{
    char byte;
    int sock = connected(path, SIGN_OF_LIFE, "GET /v1/hello HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n");
    return sock >= 0 && recv(sock, &byte, 1, 0) == 1; /* the end of this process closes it */
}

static time_t now(void)
{
    struct timespec time;
    return clock_gettime(CLOCK_MONOTONIC, &time) ? 0 : time.tv_sec;
}

/* How many bytes come until the other end closes; -1 if too many or if that fails. */
static ssize_t received(int sock, const char *path, char *into)
{
    time_t end = now() + TIMEOUT;
    bool is_announced = false;
    for (size_t size = 0; size < ANSWER_MOST;) {
        ssize_t got = recv(sock, into + size, ANSWER_MOST - size, 0);
        if (got == 0) return (ssize_t)size;
        if (got > 0) size += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR) return -1;
        bool is_silent = got < 0 && errno == EAGAIN, is_first = is_silent && !is_announced;
        is_announced = is_announced || is_silent;
        if (is_first && isatty(2)) dprintf(2, "Waiting for the Keyfob agent…\n");
        if (now() >= end || (is_silent && !lives(path))) {
            putenv("KEYFOB_SOCK=/dev/null"); /* the command does not wait for that agent again */
            return -1;
        }
    }
    return -1;
}

/* The number that `text` begins with, if one of `ends` comes after it; else ODD. */
static int number(const char *text, const char *ends)
{
    size_t size = strspn(text, DIGITS);
    return size && size < 10 && strchr(ends, text[size]) ? atoi(text) : ODD;
}

/* The number in a header. ODD if there is none, or if its name comes anywhere else as well. */
static int header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name), *after = at ? at + strlen(name) : NULL;
    if (!at || at[-1] != '\n' || *after != ':' || strcasestr(after, name)) return ODD;
    return number(after + 1 + strspn(after + 1, " "), "\r");
}

/* What to print for an answer, made in its place, and the exit code. False if it is not whole, is not as our agent
 * writes it, or is about the keychain, which the command can have the user unlock. `raw` has room for one more byte. */
static bool understood(char *raw, size_t size, bool json, struct output *out)
{
    char *end = memmem(raw, size, "\r\n\r\n", 4);
    if (!end || strncmp(raw, "HTTP/1.1 ", 9)) return false;
    for (const char *at = raw; at < end; at++)
        if ((*at < ' ' || *at > '~') && strncmp(at, "\r\n", 2) && strncmp(at - 1, "\r\n", 2)) return false;
    end[2] = '\0';
    *out = (struct output){.to = 1, .text = end + 4, .size = size - (size_t)(end + 4 - raw)};
    int status = number(raw + 9, " \r"), length = header(raw, "Content-Length");
    if (status == ODD || length < 0 || out->size < (size_t)length) return false;
    if (status == 200) {
        if (!out->size || out->text[out->size - 1] != '\n') out->text[out->size++] = '\n';
        return true;
    }
    out->to = 2;
    out->exit_code = header(raw, "Keyfob-Exit");
    if (out->exit_code < 0 || out->exit_code > EXIT_MOST || out->exit_code == KEYCHAIN_EXIT) return false;
    if (!json) { /* a user reads the sentence, a script the object */
        out->text = memcpy(out->text - 8, "keyfob: ", 8); /* over the head, which is longer */
        out->size += 9;
        out->text[out->size - 1] = '\n';
    }
    return true;
}

/* The exit code, if the agent's answer was printed; else ABSENT. */
static int token(int argc, char *const *argv)
{
    char request[REQUEST_MOST], path[SOCKET_PATH_MOST + 1];
    struct output out;
    bool json;
    if (!asked_for(argc, argv, request, &json) || !socket_file(path)) return ABSENT;
    char *raw = mmap(NULL, ANSWER_MOST + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED || madvise(raw, ANSWER_MOST + 1, MADV_DONTDUMP)) return ABSENT; /* in no core dump */
    int sock = connected(path, SILENCE, request);
    ssize_t size = sock < 0 ? -1 : received(sock, path, raw), done = 0;
    if (size < 0 || !understood(raw, (size_t)size, json, &out)) return ABSENT;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    for (size_t at = 0; at < out.size && (done >= 0 || errno == EINTR); at += done > 0 ? (size_t)done : 0)
        done = write(out.to, out.text + at, out.size - at);
    int reason = done < 0 ? errno : 0;
    explicit_bzero(raw, (size_t)size + 1);
    signal(SIGPIPE, before);
    return !reason || reason == EPIPE ? out.exit_code : ABSENT; /* a reader that has gone does not matter */
}

/* Starts the command in a folder, whose name is `size` bytes long, in this process's place. Returns if it cannot. */
static void become(const char *folder, size_t size, const char *name, char **words)
{
    static char path[PATH_MAX];
    int whole = snprintf(path, sizeof path, "%.*s%s", (int)size, folder, name);
    words[0] = path;
    if (*folder == '/' && whole < PATH_MAX) execv(path, words);
}

int main(int argc, char **argv)
{
    for (int file = 0; file < 3; file++) /* what the caller closed must not become our socket */
        if (fcntl(file, F_GETFD) < 0) open("/dev/null", O_RDWR);
    int code = token(argc, argv);
    if (code >= 0) return code;
    char self[PATH_MAX], *words[argc + 3];
    memset(words, 0, sizeof words);
    words[1] = "token";
    for (int i = 1; i < argc; i++) words[i + 1] = argv[i];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self);
    const char *slash = size > 0 ? memrchr(self, '/', (size_t)size) : NULL;
    if (slash) become(self, (size_t)(slash - self), "/keyfob", words);
    if (slash) become(self, (size_t)(slash - self), "/../keyfob", words); /* from bin/ of the frozen app */
    for (const char *path = getenv("PATH"); path && *path; path += size + (path[size] == ':')) {
        size = (ssize_t)strcspn(path, ":");
        become(path, (size_t)size, "/keyfob", words);
    }
    dprintf(2, "keyfob: The keyfob command is neither beside keyfob-token nor on the PATH. Install Keyfob again.\n");
    return 1;
}
