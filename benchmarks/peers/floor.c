/* The floor: what it costs the kernel and OpenSSL to write a frame to each client, with nothing around it.
 *
 * Arguments: PORT CERT KEY. It speaks as the other peers do (benchmarks/servers.py): one update per binary message of
 * 16 bytes. Every client gets every update, whatever it subscribed. One thread: it accepts while no updates come, and then
 * writes each update to each client with one SSL_write, which is one send. Linux; cc -O2 floor.c -lssl -lcrypto
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

static SSL *clients[MAX_CLIENTS];
static int count;

/* Read from a client until the buffer holds `end`, and drop what it says. */
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

/* The opening handshake of RFC 6455, and the confirmation of whatever is subscribed. */
static int open_websocket(SSL *ssl) {
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
    if (SSL_read(ssl, request, sizeof request) <= 0) return -1; /* the subscription */
    return SSL_write(ssl, "\x82\x00", 2) <= 0 ? -1 : 0;
}

static void accept_one(int listener, SSL_CTX *context) {
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || count == MAX_CLIENTS) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && open_websocket(ssl) == 0) clients[count++] = ssl;
}

/* Write one update to every client. */
static void publish(unsigned number, unsigned price, double time) {
    unsigned char frame[18] = {0x82, 16};
    memcpy(frame + 2, &number, 4);
    memcpy(frame + 6, &price, 4);
    memcpy(frame + 10, &time, 8);
    for (int each = 0; each < count; each++) SSL_write(clients[each], frame, sizeof frame);
}

/* Take lines from stdin; returns 0 at its end. */
static int take_updates(void) {
    static char buffer[1 << 20];
    static int length;
    int got = read(0, buffer + length, sizeof buffer - length);
    if (got <= 0) return 0;
    length += got;
    char *line = buffer, *end;
    while ((end = memchr(line, '\n', buffer + length - line))) {
        unsigned number, price;
        double time;
        if (sscanf(line, "%u %u %lf", &number, &price, &time) == 3) publish(number, price, time);
        line = end + 1;
    }
    length = buffer + length - line;
    memmove(buffer, line, length);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
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
        if (waiting[0].revents && !take_updates()) return 0;
        if (waiting[1].revents & POLLIN) accept_one(listener, context);
    }
}
