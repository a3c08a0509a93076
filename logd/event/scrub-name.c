/* Names that say that their value is secret.
 *
 * What counts is the last dotted part of a name, in lower case and without seams ('-' '_' ' ' and camelCase): it ends
 * in one of the words below, as db_password, userToken and X-Api-Key do. In English the last word says what a thing
 * is, so token_count, passwordless and max_tokens are no secrets; a few words may follow and change nothing
 * (password_hash, secretValue, password2). The list is what Sentry's and Rails' filters, gitleaks and detect-secrets
 * agree on, and what web frameworks call their sessions and tokens. */
#include "event/scrub-private.h"
#include "event/scrub.h"

enum { NAME_SEEN = 64 };
enum { END, WORD, WHOLE }; /* how it must fit: the end of the name, its last word, all of it */

static const struct secret_names names[] = {
    {S("password"), END, VALUE_ANY,
     S("password passwords passwd pwd passcode dbpass userpass smtppass mailpass ftppass authpass adminpass keypass "
       "storepass sqlpass redispass requirepass masterauth")},
    {S("password"), END, VALUE_LINE, S("passphrase seedphrase mnemonic")},
    {S("password"), WHOLE, VALUE_NO_INT, S("pass")},
    {S("secret"), END, VALUE_ANY,
     S("secret secrets credential credentials secretkey sharedkey signingkey encryptionkey masterkey hmackey aeskey "
       "webhookkey cookiekey cryptokey secretaccesskey")},
    {S("token"), END, VALUE_ANY, S("token accesstokens refreshtokens apitokens authtokens sessiontokens bearertokens")},
    {S("token"), WORD, VALUE_ANY, S("jwt bearer")},
    {S("authorization"), END, VALUE_ANY, S("authorization")},
    {S("cookie"), END, VALUE_ANY, S("cookie cookies")},
    {S("session"), END, VALUE_LONG, S("sessionid sessid sessionkey")},
    {S("csrf"), END, VALUE_ANY, S("csrf xsrf")},
    {S("api_key"), END, VALUE_ANY,
     S("apikey apikeys accesskey accesskeyid appkey authkey licensekey logdkey accountkey servicekey adminkey")},
    {S("private_key"), END, VALUE_ANY, S("privatekey sshkey clientkeydata")},
    {S("otp"), WORD, VALUE_CODE, S("otp totp hotp")},
    {S("otp"), END, VALUE_CODE,
     S("otpcode totpcode mfacode twofactorcode verificationcode recoverycode recoverycodes backupcode backupcodes")},
    {S("pin"), WHOLE, VALUE_CODE, S("pin pincode userpin cardpin simpin")},
    {S("cvv"), WORD, VALUE_CODE, S("cvv cvc")},
    {S("cvv"), END, VALUE_CODE, S("securitycode cardcode")},
    {S("card"), END, VALUE_LONG, S("cardnumber ccnumber ccnum creditcard cardno")},
    {S("signature"), END, VALUE_ANY, S("amzsignature googsignature")},
    {S("signature"), WHOLE, VALUE_QUERY, S("sig signature")},
};
/* Behind a secret name these change nothing. */
static const str after = S("hash value confirmation confirm plain raw plaintext string base header base64");
/* With these before it the last word tells of one and is none. */
static const str never = S("is has no needs missing invalid show hide with without expired");
/* Tokens of another kind: of pages, of parsers, of language models, of locks. */
static const str other_tokens = S("next page pagination continuation continue cursor sync unexpected per first last "
                                  "eos bos pad unk stop lock opaquelock");

struct words { /* of a name, in lower case, without seams */
    char text[NAME_SEEN];
    size_t n;
    uint8_t start[NAME_SEEN]; /* where each word starts */
    size_t count;
};

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Does a word start at i, which is a letter or digit behind another one? "userToken", "APIKey". */
static bool camel(str name, size_t i)
{
    char last = name.p[i - 1], c = name.p[i];
    return is_upper(c) &&
           (is_lower(last) || is_digit(last) || (is_upper(last) && i + 1 < name.n && is_lower(name.p[i + 1])));
}

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
        if (seam || camel(name, i))
            w->start[w->count++] = (uint8_t)w->n;
        seam = false;
        w->text[w->n++] = lower(c);
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

static bool among(str list, str s)
{
    while (s.n > 0 && list.p)
        if (str_eq(str_cut(&list, ' '), s))
            return true;
    return false;
}

/* All ends, chained by their last two letters, in the order of the table. */
static struct end {
    str end;
    const struct secret_names *of; /* NULL: one of `after` */
    uint8_t next;                  /* 1 + index; 0: none */
} ends[160];
static uint8_t ends_n, first[1024];

static uint8_t *chain(str s) { return &first[(s.p[s.n - 2] & 31) << 5 | (s.p[s.n - 1] & 31)]; }

static void add_ends(const struct secret_names *of, str list)
{
    while (list.p) {
        str end = str_cut(&list, ' ');
        uint8_t *link = chain(end);
        while (*link)
            link = &ends[*link - 1].next;
        assert(ends_n < LENGTH(ends));
        ends[ends_n] = (struct end){end, of, 0};
        *link = ++ends_n;
    }
}

void scrub_names_init(void (*each)(str end))
{
    for (size_t i = 0; i < LENGTH(names); i++)
        add_ends(&names[i], names[i].ends);
    add_ends(NULL, after);
    for (size_t i = 0; i < ends_n; i++)
        each(ends[i].end);
}

static bool is_after(str last)
{
    for (size_t k = last.n < 2 ? 0 : *chain(last); k > 0; k = ends[k - 1].next)
        if (!ends[k - 1].of && str_eq(ends[k - 1].end, last))
            return true;
    return false;
}

/* Without digits at the end and words that change nothing. */
static void trim(struct words *w)
{
    while (w->n > 1 && is_digit(w->text[w->n - 1])) {
        w->n--;
        if (w->start[w->count - 1] == w->n)
            w->count--;
    }
    while (w->count > 1 && is_after(word(w, 0)))
        w->n = w->start[--w->count];
}

static bool fits(const struct words *w, const struct end *e)
{
    str all = {w->text, w->n}, last = word(w, 0);
    if (!e->of || !str_ends(all, e->end) || (e->of->how == WORD && last.n != e->end.n) ||
        (e->of->how == WHOLE && all.n != e->end.n))
        return false;
    if (!str_eq(e->end, S("token")))
        return !among(never, word(w, 1));
    str head = str_head(last, last.n > 5 ? last.n - 5 : 0);
    return !among(never, word(w, 1)) && !among(other_tokens, head.n ? head : word(w, 1));
}

const struct secret_names *scrub_name_find(str name)
{
    struct words w;
    if (name.n > NAME_SEEN)
        name = str_skip(name, name.n - NAME_SEEN);
    split(name, &w);
    if (w.count == 0 || str_eq(name, S("PWD")) || str_eq(name, S("OLDPWD"))) /* the shell's working directory */
        return NULL;
    trim(&w);
    if (w.n < 3)
        return NULL;
    for (size_t k = *chain((str){w.text, w.n}); k > 0; k = ends[k - 1].next)
        if (fits(&w, &ends[k - 1]))
            return ends[k - 1].of;
    return NULL;
}

str scrub_name(str name)
{
    str part = name;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.')
            part = str_skip(name, i + 1);
    if (str_ends(name, S("connect.sid"))) /* the only name of Express sessions that has no word of its own */
        return S("session");
    const struct secret_names *s = scrub_name_find(part);
    return s && s->value != VALUE_QUERY ? s->kind : (str){NULL, 0};
}
