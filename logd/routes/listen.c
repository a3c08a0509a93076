/* routes/listen.c - sockets that listen, addresses in text, and the certificate.
 *
 * The certificate is handed to GnuTLS by a callback at each handshake, so a reload is a new pointer: connections that
 * are open go on with the old one, which is kept until the end since a handshake may still hold it. */
#include "routes/exchange.h"
#include "base/file.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const int on = 1, off = 0;

static int bad_address(const char *text, struct err *e)
{
    return err_set(e, ERR_INPUT, "listen: expected ADDRESS:PORT like 127.0.0.1:5080 or [::1]:5080, got \"%s\"", text);
}

static int read_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n, struct err *e)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !str_u64(str_of(colon + 1), &port) || port > 65535)
        return bad_address(text, e);
    size_t n = (size_t)(colon - text);
    bool bracket = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    char host[INET6_ADDRSTRLEN];
    str h = bracket ? str_n(text + 1, n - 2) : str_n(text, n);
    if (h.n >= sizeof host)
        return bad_address(text, e);
    memcpy(host, h.p, h.n);
    host[h.n] = '\0';
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (!bracket && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        *ret_n = sizeof *four;
    } else if (bracket && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        *ret_n = sizeof *six;
    } else {
        return bad_address(text, e);
    }
    return 0;
}

int http_address_check(const char *address, struct err *e)
{
    struct sockaddr_storage a;
    socklen_t n;
    return read_address(address, &a, &n, e);
}

void peer_print(const struct sockaddr *address, char out[64])
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    out[0] = '\0';
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, out, 64);
    else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], out, 64);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &six->sin6_addr, out, 64);
}

static char *address_text(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    char host[64], *out;
    (void)getsockname(fd, (struct sockaddr *)&a, &n);
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a; /* the port is at the same place in both */
    if (a.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
    else
        peer_print((struct sockaddr *)&a, host);
    if (asprintf(&out, a.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, ntohs(six->sin6_port)) < 0)
        abort();
    return out;
}

int bind_tcp(const char *address, int *ret_fd, char **ret_address, struct err *e)
{
    struct sockaddr_storage a;
    socklen_t n = 0;
    if (read_address(address, &a, &n, e) < 0)
        return -1;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, "socket for %s", address);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a.ss_family == AF_INET6) /* [::] takes IPv4 too */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (struct sockaddr *)&a, n) < 0) {
        err_sys(e, "listen on %s", address);
        close(fd);
        return -1;
    }
    *ret_fd = fd;
    *ret_address = address_text(fd);
    return 0;
}

int listen_unix(const char *path, int *ret_fd, struct err *e)
{
    struct sockaddr_un a;
    int dir;
    if (unix_address(path, &a, &dir, e) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(path); /* whoever holds the data folder's lock owns it, so it is stale */
    mode_t was = umask(0177);
    int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
    umask(was);
    if (dir >= 0)
        close(dir);
    if (fd < 0)
        return err_sys(e, "socket '%s'", path);
    if (rc < 0 || listen(fd, 64) < 0) {
        err_sys(e, "listen on '%s'", path);
        close(fd);
        return -1;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- TLS ---- */

struct tls {
    struct tls *older;
    gnutls_pcert_st chain[8];
    unsigned chain_n;
    gnutls_privkey_t key;
};
static struct tls *_Atomic tls_now;

static int retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_n, const gnutls_pk_algorithm_t *algos,
                    int algos_n, gnutls_pcert_st **chain, unsigned *chain_n, gnutls_privkey_t *key)
{
    (void)session, (void)ca, (void)ca_n, (void)algos, (void)algos_n;
    struct tls *t = atomic_load(&tls_now);
    if (!t)
        return -1;
    *chain = t->chain;
    *chain_n = t->chain_n;
    *key = t->key;
    return 0;
}
gnutls_certificate_retrieve_function2 *const tls_callback = retrieve;

static void tls_free(struct tls *t)
{
    for (unsigned i = 0; i < t->chain_n; i++)
        gnutls_pcert_deinit(&t->chain[i]);
    if (t->key)
        gnutls_privkey_deinit(t->key);
    free(t);
}

static int gnutls_err(struct err *e, const char *path, int rc)
{
    return err_set(e, ERR_INPUT, "tls: '%s': %s", path, gnutls_strerror(rc));
}

/* Does the key belong to the certificate? */
static int check_pair(struct tls *t, const char *key_path, struct err *e)
{
    unsigned char a[32], b[32];
    size_t an = sizeof a, bn = sizeof b;
    gnutls_pubkey_t public;
    int rc = gnutls_pubkey_init(&public);
    if (rc < 0)
        return gnutls_err(e, key_path, rc);
    rc = gnutls_pubkey_import_privkey(public, t->key, 0, 0);
    if (rc == 0)
        rc = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &an);
    if (rc == 0)
        rc = gnutls_pubkey_get_key_id(t->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &bn);
    gnutls_pubkey_deinit(public);
    if (rc < 0)
        return gnutls_err(e, key_path, rc);
    if (an != bn || memcmp(a, b, an) != 0)
        return err_set(e, ERR_INPUT, "tls: the key '%s' does not belong to the certificate", key_path);
    return 0;
}

int tls_new(const char *cert, const char *key, struct tls **ret, struct err *e)
{
    struct tls *t = xcalloc(1, sizeof *t);
    struct buf c = BUF_INIT(1 << 20), k = BUF_INIT(1 << 20);
    int rc = -1, n;
    if (file_read(cert, c.max, &c, e) < 0 || file_read(key, k.max, &k, e) < 0)
        goto out;
    gnutls_datum_t cd = {(unsigned char *)c.p, (unsigned)c.n}, kd = {(unsigned char *)k.p, (unsigned)k.n};
    unsigned chain_n = LENGTH(t->chain);
    if ((n = gnutls_pcert_list_import_x509_raw(t->chain, &chain_n, &cd, GNUTLS_X509_FMT_PEM, 0)) < 0) {
        gnutls_err(e, cert, n);
        goto out;
    }
    t->chain_n = chain_n;
    if ((n = gnutls_privkey_init(&t->key)) < 0 ||
        (n = gnutls_privkey_import_x509_raw(t->key, &kd, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0)
        gnutls_err(e, key, n);
    else
        rc = check_pair(t, key, e);
out:
    if (k.p)
        explicit_bzero(k.p, k.n);
    buf_done(&c);
    buf_done(&k);
    if (rc < 0)
        tls_free(t);
    else
        *ret = t;
    return rc;
}

void tls_use(struct tls *t)
{
    if (t) {
        t->older = atomic_exchange(&tls_now, t);
        return;
    }
    t = atomic_exchange(&tls_now, NULL);
    while (t) {
        struct tls *older = t->older;
        tls_free(t);
        t = older;
    }
}
