/* The floor: the cost of the kernel and OpenSSL to write a frame to each client, with nothing around it.
 *
 * Arguments: PORT CERT KEY BUDGET_MS. It speaks as the other peers do (benchmarks/readers.py), but puts 16 zero bytes
 * before each message, since Ticker's own messages have a header of that size: the floor sends as many bytes. One thread: it
 * accepts clients one by one, reads the pending updates, and writes to each client those that it subscribed, with one
 * SSL_write, which is one send. Its writes block: a client that stalls stops all others.
 * Linux; cc -O2 floor.c -lssl -lcrypto
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 20000
#define MAX_SYMBOLS 4096
#define MAX_BATCH 1000

struct update {
    unsigned number, price;
    double time;
};

static struct {
    SSL *ssl;
    char *wants;
} clients[MAX_CLIENTS];
static int count;

/* Read from a client until the buffer holds `end`, and discard the data. */
static int read_until(SSL *ssl, char *buffer, int size, const char *end) {
    int length = 0;
    while (length < size - 1) {
        int got = SSL_read(ssl, buffer + length, size - 1 - length);
        if (got <= 0) return -1;
        length += got;
        buffer[length] = 0;
        if (strstr(buffer, end)) return length;
    }
    return -1;
}

/* The opening handshake of RFC 6455, and the confirmation of the subscription. */
static int open_websocket(SSL *ssl, char *wants) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char request[8192], joined[128], answer[256];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[64];
    if (read_until(ssl, request, sizeof request, "\r\n\r\n") < 0) return -1;
    char *key = strstr(request, "Sec-WebSocket-Key: ");
    if (!key) return -1;
    key += strlen("Sec-WebSocket-Key: ");
    *strstr(key, "\r\n") = 0;
    snprintf(joined, sizeof joined, "%s%s", key, guid);
    SHA1((unsigned char *)joined, strlen(joined), digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    if (SSL_write(ssl, answer, length) <= 0) return -1;
    length = SSL_read(ssl, request, sizeof request - 1); /* the subscription, masked with zeros: [1,2,3] */
    if (length <= 0) return -1;
    request[length] = 0;
    for (char *at = memchr(request, '[', length); at && *at != ']'; ) {
        long number = strtol(at + 1, &at, 10);
        if (number >= 0 && number < MAX_SYMBOLS) wants[number] = 1;
    }
    return SSL_write(ssl, "\x82\x00", 2) <= 0 ? -1 : 0;
}

static void accept_one(int listener, SSL_CTX *context) {
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || count == MAX_CLIENTS) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    char *wants = calloc(1, MAX_SYMBOLS);
    if (SSL_accept(ssl) != 1 || open_websocket(ssl, wants) != 0) return;
    clients[count].ssl = ssl;
    clients[count++].wants = wants;
}

/* Write to each client its subscribed updates of a batch, in one frame. */
static void publish(const struct update *batch, int size) {
    static unsigned char frame[4 + 16 * (MAX_BATCH + 1)];
    for (int each = 0; each < count; each++) {
        unsigned char *at = frame + 4 + 16;
        for (int i = 0; i < size; i++) {
            if (!clients[each].wants[batch[i].number]) continue;
            memcpy(at, &batch[i], 16);
            at += 16;
        }
        int length = at - frame - 4;
        unsigned char *start = length < 126 ? frame + 2 : frame;
        if (length == 16) continue;
        start[0] = 0x82;
        start[1] = length < 126 ? length : 126;
        if (length >= 126) start[2] = length >> 8, start[3] = length & 255;
        SSL_write(clients[each].ssl, start, at - start);
    }
}

/* Read lines from stdin; returns 0 at its end. */
static int take_updates(void) {
    static char buffer[1 << 16];
    static int length;
    static struct update batch[MAX_BATCH];
    int size = 0, got = read(0, buffer + length, sizeof buffer - 1 - length);
    if (got <= 0) return 0;
    length += got;
    char *line = buffer, *end;
    while ((end = memchr(line, '\n', buffer + length - line))) {
        struct update *next = &batch[size];
        *end = 0;
        if (sscanf(line, "%u %u %lf", &next->number, &next->price, &next->time) == 3 && next->number < MAX_SYMBOLS) size++;
        if (size == MAX_BATCH) publish(batch, size), size = 0;
        line = end + 1;
    }
    if (size) publish(batch, size);
    length = buffer + length - line;
    memmove(buffer, line, length);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_num_tickets(context, 0);
    if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
        return 1;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd waiting[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
        poll(waiting, 2, -1);
        if (waiting[0].revents) {
            if (!take_updates()) return 0;
            usleep(atoi(argv[4]) * 1000);
        }
        if (waiting[1].revents & POLLIN) accept_one(listener, context);
    }
}
