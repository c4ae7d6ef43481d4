/* Fuzzes what keyfob-token reads and is asked: an agent's answer, and its arguments.
 *
 * The first byte chooses: `j` and `p` for an answer to a question with and without --json, anything else for
 * arguments, each of which ends with a zero byte. Stops at whatever is printed from outside the answer. With
 * READS_FILES it prints what comes of each file it is given, for comparison with the Python client; without, it is
 * libFuzzer's target.
 */
#define main launcher
#include "keyfob-token.c"
#undef main
#include <stdint.h>

static void check(bool holds)
{
    if (!holds) abort();
}

static bool answered(const uint8_t *data, size_t size, bool json, struct output *out, char **raw)
{
    *raw = malloc(size + 1); /* exactly what the launcher has, so that the sanitizer sees one byte more */
    memcpy(*raw, data, size);
    if (!understood(*raw, size, json, out)) return false;
    check(out->text >= *raw && out->text + out->size <= *raw + size + 1);
    check(out->exit_code >= 0 && out->exit_code <= EXIT_MOST && (out->to == 1 || out->to == 2));
    check(out->size > 0 || json);
    return true;
}

static bool asked(const uint8_t *data, size_t size, char *request)
{
    char copy[4096], *words[64] = {"keyfob-token"};
    int count = 1;
    bool json;
    if (size >= sizeof copy) return false;
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *word = copy; word < copy + size && count < 63; word += strlen(word) + 1) words[count++] = word;
    if (!asked_for(count, words, request, &json)) return false;
    /* One request, whatever the arguments: a GET of one path, four headers, no control characters. */
    const char *end = strstr(request, " HTTP/1.1\r\n");
    check(!strncmp(request, "GET /v1/token/", 14) && end && strcspn(request, " \r\n") == 3);
    check(strcspn(request + 4, " \r\n") == (size_t)(end - request - 4) && !strstr(request, ".."));
    check(strstr(request, "\r\n\r\n") == request + strlen(request) - 4);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct output out;
    char *raw, request[REQUEST_MOST];
    if (size && (*data == 'j' || *data == 'p')) {
        answered(data + 1, size - 1, *data == 'j', &out, &raw);
        free(raw);
    } else if (size) {
        asked(data + 1, size - 1, request);
    }
    return 0;
}

#ifdef READS_FILES
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        static uint8_t data[1 << 20];
        struct output out;
        char *raw = NULL, request[REQUEST_MOST];
        FILE *file = fopen(argv[i], "rb");
        check(file);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        if (size && (*data == 'j' || *data == 'p')) {
            if (answered(data + 1, size - 1, *data == 'j', &out, &raw)) {
                printf("%d %d %zu\n", out.exit_code, out.to, out.size);
                fwrite(out.text, 1, out.size, stdout);
            } else {
                printf("command 0 0\n");
            }
            free(raw);
        } else {
            bool plain = size && asked(data + 1, size - 1, request);
            printf("%s 0 %zu\n%s", plain ? "asks" : "command", plain ? strlen(request) : 0, plain ? request : "");
        }
    }
    return 0;
}
#endif
