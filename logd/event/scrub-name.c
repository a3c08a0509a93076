/* Names that say that their value is secret.
 *
 * The last dotted part of a name, without case and seams ('-' '_' ' ' and camelCase), ends in one of the words below:
 * db_password, userToken, X-Api-Key. In English the last word is what the thing is, so token_count and passwordless
 * are no secrets; a few words may follow and change nothing (password_hash, secret_value, password2). */
#include "event/scrub.h"
#include "base/str.h"

enum { NAME_MAX_SEEN = 64 };
enum { WORD = 1, WHOLE = 2 }; /* the whole last word; the whole name */

static const struct secret_name {
    str end;
    str kind;
    int how;
} names[] = {
    {S("password"), S("password"), 0},
    {S("passwords"), S("password"), 0},
    {S("passwd"), S("password"), 0},
    {S("pwd"), S("password"), 0},
    {S("passphrase"), S("password"), 0},
    {S("passcode"), S("password"), 0},
    {S("pass"), S("password"), WHOLE},
    {S("dbpass"), S("password"), 0},
    {S("userpass"), S("password"), 0},
    {S("smtppass"), S("password"), 0},
    {S("mailpass"), S("password"), 0},
    {S("ftppass"), S("password"), 0},
    {S("authpass"), S("password"), 0},
    {S("adminpass"), S("password"), 0},
    {S("keypass"), S("password"), 0},
    {S("storepass"), S("password"), 0},
    {S("sqlpass"), S("password"), 0},
    {S("redispass"), S("password"), 0},
    {S("requirepass"), S("password"), 0},
    {S("secret"), S("secret"), 0},
    {S("secrets"), S("secret"), 0},
    {S("credential"), S("secret"), 0},
    {S("credentials"), S("secret"), 0},
    {S("mnemonic"), S("secret"), WORD},
    {S("seedphrase"), S("secret"), 0},
    {S("token"), S("token"), 0},
    {S("accesstokens"), S("token"), 0},
    {S("refreshtokens"), S("token"), 0},
    {S("apitokens"), S("token"), 0},
    {S("authtokens"), S("token"), 0},
    {S("sessiontokens"), S("token"), 0},
    {S("jwt"), S("token"), WORD},
    {S("bearer"), S("token"), WORD},
    {S("authorization"), S("authorization"), 0},
    {S("cookie"), S("cookie"), 0},
    {S("cookies"), S("cookie"), 0},
    {S("sessionid"), S("session"), 0},
    {S("sessid"), S("session"), 0},
    {S("sessionkey"), S("session"), 0},
    {S("csrf"), S("csrf"), 0},
    {S("xsrf"), S("csrf"), 0},
    {S("apikey"), S("api_key"), 0},
    {S("apikeys"), S("api_key"), 0},
    {S("accesskey"), S("api_key"), 0},
    {S("accesskeyid"), S("api_key"), 0},
    {S("appkey"), S("api_key"), 0},
    {S("authkey"), S("api_key"), 0},
    {S("licensekey"), S("api_key"), 0},
    {S("logdkey"), S("api_key"), 0},
    {S("accountkey"), S("api_key"), 0},
    {S("secretkey"), S("secret"), 0},
    {S("sharedkey"), S("secret"), 0},
    {S("signingkey"), S("secret"), 0},
    {S("encryptionkey"), S("secret"), 0},
    {S("masterkey"), S("secret"), 0},
    {S("hmackey"), S("secret"), 0},
    {S("aeskey"), S("secret"), 0},
    {S("webhookkey"), S("secret"), 0},
    {S("privatekey"), S("private_key"), 0},
    {S("sshkey"), S("private_key"), 0},
    {S("otp"), S("otp"), WORD},
    {S("totp"), S("otp"), WORD},
    {S("otpcode"), S("otp"), 0},
    {S("mfacode"), S("otp"), 0},
    {S("verificationcode"), S("otp"), 0},
    {S("recoverycode"), S("otp"), 0},
    {S("recoverycodes"), S("otp"), 0},
    {S("backupcodes"), S("otp"), 0},
    {S("pin"), S("pin"), WHOLE},
    {S("userpin"), S("pin"), 0},
    {S("cardpin"), S("pin"), 0},
    {S("cvv"), S("cvv"), WORD},
    {S("cvc"), S("cvv"), WORD},
    {S("cardnumber"), S("card"), 0},
    {S("ccnumber"), S("card"), 0},
    {S("creditcard"), S("card"), 0},
    {S("amzsignature"), S("signature"), 0},
    {S("googsignature"), S("signature"), 0},
};
/* These words after a secret name change nothing. */
static const str after[] = {S("hash"),   S("value"),  S("confirmation"), S("confirm"), S("again"),     S("repeat"),
                            S("new"),    S("old"),    S("plain"),        S("raw"),     S("plaintext"), S("text"),
                            S("string"), S("digest"), S("base"),         S("header"),  S("encrypted"), S("base64")};
/* With these before it, the last word tells of one and is none; or it is a token of another kind. */
static const str never_before[] = {S("is"),   S("has"),  S("no"),   S("needs"),   S("missing"), S("invalid"),
                                   S("show"), S("hide"), S("with"), S("without"), S("expired")};
static const str no_token_before[] = {S("next"),   S("page"), S("pagination"), S("continuation"), S("continue"),
                                      S("cursor"), S("sync"), S("unexpected"), S("per"),          S("first"),
                                      S("last"),   S("eos"),  S("bos"),        S("pad"),          S("unk")};

struct words { /* of a name, in lower case, without seams */
    char text[NAME_MAX_SEEN];
    size_t n;
    uint8_t start[NAME_MAX_SEEN]; /* where each word starts */
    size_t count;
};

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void split(str name, struct words *w)
{
    bool seam = true;
    w->n = w->count = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_upper(c) && !is_lower(c) && !is_digit(c)) {
            seam = true;
            continue;
        }
        if (is_upper(c) && i > 0 &&
            (is_lower(name.p[i - 1]) || is_digit(name.p[i - 1]) ||
             (i + 1 < name.n && is_upper(name.p[i - 1]) && is_lower(name.p[i + 1]))))
            seam = true;
        if (seam)
            w->start[w->count++] = (uint8_t)w->n;
        seam = false;
        w->text[w->n++] = is_upper(c) ? (char)(c | 32) : c;
    }
}

/* The k-th word from the end, 0 the last; absent when there are not so many. */
static str word(const struct words *w, size_t k)
{
    if (k >= w->count)
        return (str){NULL, 0};
    size_t i = w->count - 1 - k, from = w->start[i], to = i + 1 < w->count ? w->start[i + 1] : w->n;
    return (str){w->text + from, to - from};
}

static bool among(const str *list, size_t n, str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], s))
            return true;
    return false;
}

static void drop_last(struct words *w) { w->n = w->start[--w->count]; }

/* Without digits at the end and words that change nothing. */
static void trim(struct words *w)
{
    while (w->count > 1 && among(after, LENGTH(after), word(w, 0)))
        drop_last(w);
    while (w->n > 1 && is_digit(w->text[w->n - 1])) {
        w->n--;
        if (w->count > 1 && w->start[w->count - 1] == w->n)
            w->count--;
    }
}

static bool fits(const struct words *w, const struct secret_name *s)
{
    str all = {w->text, w->n};
    if (s->how == WHOLE ? !str_eq(all, s->end) : !str_ends(all, s->end))
        return false;
    str before = word(w, 1);
    if (s->how == WORD && !str_eq(word(w, 0), s->end))
        return false;
    if (among(never_before, LENGTH(never_before), before))
        return false;
    return !(str_eq(s->end, S("token")) && among(no_token_before, LENGTH(no_token_before), before));
}

str scrub_name(str name)
{
    static const str absent = {NULL, 0};
    struct words w;
    str part = name;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.')
            part = str_skip(name, i + 1);
    if (str_eq(part, S("PWD")) || str_eq(part, S("OLDPWD"))) /* the shell's working directory */
        return absent;
    if (str_eq_nocase(name, S("connect.sid")))
        return S("session");
    if (part.n > NAME_MAX_SEEN)
        part = str_skip(part, part.n - NAME_MAX_SEEN);
    split(part, &w);
    if (w.count == 0)
        return absent;
    trim(&w);
    for (size_t i = 0; i < LENGTH(names); i++)
        if (fits(&w, &names[i]))
            return names[i].kind;
    return absent;
}
