/* Secrets that are known by their shape: what an issuer's prefix starts, JWT, private keys, passwords in URLs.
 *
 * A prefix is watched for at three bytes of it that are rare in text; what is around them is compared then. Formats
 * are the issuers' documented ones. Prefixes that start words too ("sk-", "dapi") need digits behind them. */
#include "event/scrub-private.h"

struct shape {
    str prefix;
    uint8_t watch;     /* offset in the prefix of the three bytes to look for */
    uint8_t classes;   /* of what follows */
    uint16_t min, max; /* how many of them follow; max 0: any number */
    str kind;
    struct found (*ask)(struct scan *s, const struct shape *h, size_t from); /* NULL: as said by the above */
};

/* The run that follows has `min` to `max` bytes, and is not the beginning of a longer one. 0: it is not so. */
static size_t token_end(const struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from + h->prefix.n, end = run(s, start, h->classes, h->min);
    if (end - start < h->min)
        return 0;
    end = run(s, end, h->classes, h->max ? (size_t)(h->max - h->min) : s->n);
    return h->max && is(at(s, end), C_ALNUM) ? 0 : end;
}

static struct found ask_token(struct scan *s, const struct shape *h, size_t from)
{
    return is(before(s, from), C_ALNUM) ? NOTHING : scrub_between(s, from, token_end(s, h, from), h->kind);
}

static size_t count(const struct scan *s, size_t from, size_t to, unsigned classes)
{
    size_t n = 0;
    for (; from < to; from++)
        n += is(s->p[from], classes);
    return n;
}

/* A prefix that also starts words: a digit must follow soon, and two more digits or capitals. */
static struct found ask_mixed(struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from + h->prefix.n, end = run(s, start, h->classes, 64);
    bool mixed = count(s, start, end, C_DIGIT) > 0 && count(s, start, end, C_DIGIT | C_UPPER) > 2;
    return mixed ? ask_token(s, h, from) : NOTHING;
}

/* A public prefix and a secret run behind it, which alone is replaced. */
static struct found ask_behind(struct scan *s, const struct shape *h, size_t from)
{
    return scrub_between(s, from + h->prefix.n, token_end(s, h, from), h->kind);
}

/* An id, and right behind it (a comma, a blank, quotes between) perhaps its secret: 40 bytes of base64. */
static struct found ask_aws(struct scan *s, const struct shape *h, size_t from)
{
    struct found f = ask_token(s, h, from);
    size_t i = f.to, to;
    while (i < f.to + 4 && at(s, i) && strchr(" \t,;:|\"'", at(s, i)))
        i++;
    if (f.kind.p && i > f.to && (to = run(s, i, C_BASE64, 41)) == i + 40)
        f.to = to;
    return f;
}

/* JSON in base64url, a dot, JSON or its cipher; then signature and more parts, or none. */
static struct found ask_jwt(struct scan *s, const struct shape *h, size_t from)
{
    size_t dot = scrub_word_end(s, from), part = dot + 1;
    if (is(before(s, from), C_ALNUM) || dot - from < h->min || at(s, dot) != '.')
        return NOTHING;
    size_t end = run(s, part, C_WORD, 3);
    if (end - part < 3)
        return NOTHING;
    end = run(s, end, C_WORD, s->n);
    for (int more = 0; more < 3 && at(s, end) == '.' && (more == 0 || is(at(s, end + 1), C_WORD)); more++)
        end = run(s, end + 1, C_WORD, s->n);
    return scrub_between(s, from, end, h->kind);
}

static bool in_base64(char c) { return is(c, C_ALNUM) || c == '+' || c == '/' || c == '='; }
/* Between the words of a key's body; "\n" may be two letters. */
static bool in_gap(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\\'; }

/* The end of a key's body without its last line: words of base64, until one is too short to be a line of it. */
static size_t cut_body_end(const struct scan *s, size_t i)
{
    for (size_t word = i, end = i;; word = end) {
        while (in_gap(at(s, word)))
            word += at(s, word) == '\\' && is(at(s, word + 1), C_ALNUM) ? 2 : 1;
        for (end = word; in_base64(at(s, end));)
            end++;
        if (end < word + 16 && (end < s->n || end == word))
            return i;
        i = end;
    }
}

/* Behind the five dashes that end the title at i ("RSA PRIVATE KEY-----"); 0: that is none. */
static size_t title_end(const struct scan *s, size_t i)
{
    size_t end = i;
    while (end < i + 40 && (is(at(s, end), C_UPPER | C_DIGIT) || at(s, end) == ' '))
        end++;
    bool title = str_find((str){s->p + i, end - i}, S("PRIVATE KEY")) >= 0 && str_starts(rest(s, end), S("-----"));
    return title ? end + 5 : 0;
}

/* Up to the end of "-----END …-----"; of a key that is cut off, what belongs to it. */
static struct found ask_pem(struct scan *s, const struct shape *h, size_t from)
{
    size_t body = title_end(s, from + h->prefix.n), end = body;
    if (!body)
        return NOTHING;
    while (end < s->n && !str_starts(rest(s, end), S("-----")) &&
           (in_base64(s->p[end]) || in_gap(s->p[end]) || strchr("-:,.()", s->p[end])))
        end++;
    if (!str_starts(rest(s, end), S("-----END ")))
        return scrub_between(s, from, cut_body_end(s, body), h->kind);
    body = end + 9;
    end = title_end(s, body);
    return scrub_between(s, from, end ? end : body, h->kind);
}

/* The same in base64, as environments and kubeconfigs carry it: "LS0tLS1CRUdJTi" is "-----BEGIN". */
static struct found ask_pem64(struct scan *s, const struct shape *h, size_t from)
{
    /* "PRIVATE" at each of its three places in groups of three bytes */
    static const str marks[] = {S("UFJJVkFUR"), S("BSSVZBVE"), S("QUklWQVRF")};
    str head = str_head(rest(s, from), 80);
    for (size_t k = 0; k < LENGTH(marks); k++)
        if (str_find(head, marks[k]) >= 0)
            return ask_token(s, h, from);
    return NOTHING;
}

static bool ends_authority(char c) { return (unsigned char)c <= ' ' || (c && strchr("\"'<>\\`[", c)); }

/* What ends it too, unless it stands in a password that should have been encoded: no '@' yet, and no port. */
static bool may_end_authority(const struct scan *s, char c, size_t colon, size_t sign)
{
    return (c == '/' || c == '?' || c == '#') &&
           (!colon || sign || is(s->p[colon + 1], C_DIGIT) || s->p[colon + 1] == c);
}

/* scheme://user:password@host, the prefix is "://", also with escaped slashes. Without a user it is a password too. */
static struct found ask_url(struct scan *s, const struct shape *h, size_t from)
{
    enum { PASSWORD_MAX = 256 };
    size_t start = from + h->prefix.n, stop = start + PASSWORD_MAX, colon = 0, sign = 0;
    for (size_t i = start; i < s->n && i < stop && !ends_authority(s->p[i]); i++) {
        char c = s->p[i];
        if (may_end_authority(s, c, colon, sign))
            break;
        if (c == ':' && !colon && i + 1 < s->n)
            colon = i, stop = i + PASSWORD_MAX;
        sign = c == '@' ? i : sign;
    }
    if (!colon || sign <= colon + 1 || is_redacted(s, colon + 1))
        return NOTHING;
    return scrub_between(s, colon + 1, sign, h->kind);
}

/* 123456789:AA… and 33 more: a bot's number and its token. The prefix is ":AA". */
static struct found ask_telegram(struct scan *s, const struct shape *h, size_t from)
{
    size_t number = from;
    while (number > s->done && from - number < 11 && is(s->p[number - 1], C_DIGIT))
        number--;
    if (from - number < 8 || from - number > 10)
        return NOTHING;
    return scrub_between(s, from + 1, token_end(s, h, from), h->kind);
}

/* A client secret of Azure: three bytes, a digit and "Q~", and 31 to 34 more. */
static struct found ask_azure(struct scan *s, const struct shape *h, size_t from)
{
    if (from < s->done + 4 || !is(s->p[from - 1], C_DIGIT) || count(s, from - 4, from, C_TOKEN) < 4)
        return NOTHING;
    char a = before(s, from - 4);
    return is(a, C_DOTTED) || a == '~' ? NOTHING : scrub_between(s, from - 4, token_end(s, h, from), h->kind);
}

/* A key of Mailchimp: 32 hex digits before "-us12". */
static struct found ask_mailchimp(struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from;
    while (start > s->done && from - start < 33 && is(s->p[start - 1], C_HEX))
        start--;
    return from - start == 32 && !is(before(s, start), C_ALNUM)
               ? scrub_between(s, start, token_end(s, h, from), h->kind)
               : NOTHING;
}

static bool bounds(char c) { return c == '\0' || c == '"' || c == '\'' || c == '`' || c == '\\'; }

/* "Bearer x": all of the text or of a string in it; or long, with a digit. */
static struct found ask_bearer(struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from + h->prefix.n, end = run(s, start, C_TOKEN, s->n);
    bool whole = bounds(before(s, from)) && bounds(at(s, end)), mixed = count(s, start, end, C_DIGIT) > 0;
    if (is(before(s, from), C_ALNUM) || !(whole || (mixed && end - start >= h->min)))
        return NOTHING;
    return scrub_says_nothing((str){s->p + start, end - start}) ? NOTHING : scrub_between(s, start, end, h->kind);
}

static int base64_value(char c)
{
    if (is(c, C_DIGIT))
        return c - '0' + 52;
    if (is(c, C_ALNUM))
        return is(c, C_UPPER) ? c - 'A' : c - 'a' + 26;
    return c == '+' ? 62 : 63;
}

/* "Basic dTpw": base64 of printable bytes with a colon among them. */
static struct found ask_basic(struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from + h->prefix.n, end = run(s, start, C_BASE64, s->n);
    unsigned bits = 0, n = 0;
    bool colon = false;
    for (size_t i = start; i < end && i < start + 400 && s->p[i] != '='; i++) {
        bits = (bits << 6 | (unsigned)base64_value(s->p[i])) & 0xffff;
        n += 6;
        if (n < 8)
            continue;
        n -= 8;
        char c = (char)(bits >> n);
        colon |= c == ':';
        if ((unsigned char)c < ' ')
            return NOTHING;
    }
    return colon && !is(before(s, from), C_ALNUM) ? scrub_between(s, start, end, h->kind) : NOTHING;
}

#define UPPER_DIGIT (C_UPPER | C_DIGIT)
static const struct shape shapes[] = {
    {S("AKIA"), 1, UPPER_DIGIT, 16, 16, S("aws_key"), ask_aws},
    {S("ASIA"), 0, UPPER_DIGIT, 16, 16, S("aws_key"), ask_aws},
    {S("ABIA"), 0, UPPER_DIGIT, 16, 16, S("aws_key"), ask_aws},
    {S("ACCA"), 0, UPPER_DIGIT, 16, 16, S("aws_key"), ask_aws},
    {S("ABSK"), 0, C_BASE64, 60, 0, S("aws_key"), NULL},
    {S("IQoJb3JpZ2lu"), 0, C_BASE64, 60, 0, S("aws_key"), NULL},
    {S("LTAI"), 0, C_ALNUM, 17, 21, S("alibaba_key"), NULL},
    {S("AIza"), 1, C_WORD, 35, 35, S("google_key"), NULL},
    {S("ya29."), 1, C_DOTTED, 20, 0, S("google_token"), NULL},
    {S("1//0"), 0, C_WORD, 40, 0, S("google_token"), NULL},
    {S("GOCSPX-"), 4, C_WORD, 28, 28, S("google_secret"), NULL},
    {S("ghp_"), 1, C_ALNUM, 36, 0, S("github_token"), NULL},
    {S("gho_"), 1, C_ALNUM, 36, 0, S("github_token"), NULL},
    {S("ghu_"), 1, C_ALNUM, 36, 0, S("github_token"), NULL},
    {S("ghs_"), 1, C_ALNUM, 36, 0, S("github_token"), NULL},
    {S("ghr_"), 1, C_ALNUM, 36, 0, S("github_token"), NULL},
    {S("github_pat_"), 5, C_WORD, 30, 0, S("github_token"), NULL},
    {S("glpat-"), 0, C_DOTTED, 20, 0, S("gitlab_token"), NULL},
    {S("gloas-"), 3, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("gldt-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glrt-"), 0, C_DOTTED, 20, 0, S("gitlab_token"), NULL},
    {S("glcbt-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glptt-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glft-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glimt-"), 3, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glagent-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("glsoat-"), 0, C_WORD, 20, 0, S("gitlab_token"), NULL},
    {S("xoxb-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxp-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxa-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxr-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxs-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxo-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxe-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxe.xox"), 3, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxc-"), 0, C_WORD, 10, 0, S("slack_token"), NULL},
    {S("xoxd-"), 0, C_TOKEN, 10, 0, S("slack_token"), NULL},
    {S("xapp-"), 0, C_WORD, 10, 0, S("slack_token"), ask_mixed},
    {S("hooks.slack.com/services/"), 3, C_BASE64, 20, 0, S("slack_webhook"), ask_behind},
    {S("discord.com/api/webhooks/"), 5, C_BASE64, 40, 0, S("discord_webhook"), ask_behind},
    {S("discordapp.com/api/webhooks/"), 8, C_BASE64, 40, 0, S("discord_webhook"), ask_behind},
    {S("sk_live_"), 1, C_ALNUM, 10, 0, S("stripe_key"), NULL},
    {S("sk_test_"), 1, C_ALNUM, 10, 0, S("stripe_key"), NULL},
    {S("rk_live_"), 1, C_ALNUM, 10, 0, S("stripe_key"), NULL},
    {S("rk_test_"), 1, C_ALNUM, 10, 0, S("stripe_key"), NULL},
    {S("whsec_"), 0, C_BASE64, 20, 0, S("webhook_secret"), NULL},
    {S("npm_"), 1, C_ALNUM, 36, 36, S("npm_token"), NULL},
    {S("pypi-Ag"), 3, C_WORD, 50, 0, S("pypi_token"), NULL},
    {S("rubygems_"), 3, C_HEX, 48, 48, S("rubygems_key"), NULL},
    {S("dckr_pat_"), 0, C_WORD, 27, 0, S("docker_token"), NULL},
    {S("dckr_oat_"), 0, C_WORD, 27, 0, S("docker_token"), NULL},
    {S("SG."), 0, C_DOTTED, 66, 66, S("sendgrid_key"), NULL},
    {S("key-"), 1, C_HEX, 32, 32, S("mailgun_key"), NULL},
    {S("-us"), 0, C_DIGIT, 1, 2, S("mailchimp_key"), ask_mailchimp},
    {S("xkeysib-"), 0, C_WORD, 60, 90, S("brevo_key"), NULL},
    {S("xsmtpsib-"), 0, C_WORD, 60, 90, S("brevo_key"), NULL},
    {S("sk-ant-"), 4, C_WORD, 20, 0, S("anthropic_key"), NULL},
    {S("sk-"), 0, C_WORD, 20, 0, S("openai_key"), ask_mixed},
    {S("gsk_"), 0, C_ALNUM, 50, 60, S("groq_key"), NULL},
    {S("xai-"), 0, C_ALNUM, 70, 90, S("xai_key"), NULL},
    {S("pplx-"), 1, C_ALNUM, 40, 60, S("perplexity_key"), NULL},
    {S("r8_"), 0, C_ALNUM, 37, 37, S("replicate_token"), NULL},
    {S("hf_"), 0, C_ALNUM, 34, 40, S("huggingface_token"), NULL},
    {S("nvapi-"), 3, C_WORD, 60, 80, S("nvidia_key"), NULL},
    {S("lk_"), 0, C_ALNUM, 20, 0, S("logd_key"), NULL},
    {S("dop_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), NULL},
    {S("doo_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), NULL},
    {S("dor_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), NULL},
    {S("AGE-SECRET-KEY-1"), 2, UPPER_DIGIT, 58, 58, S("age_key"), NULL},
    {S("shpat_"), 0, C_HEX, 32, 32, S("shopify_token"), NULL},
    {S("shpca_"), 0, C_HEX, 32, 32, S("shopify_token"), NULL},
    {S("shppa_"), 0, C_HEX, 32, 32, S("shopify_token"), NULL},
    {S("shpss_"), 0, C_HEX, 32, 32, S("shopify_token"), NULL},
    {S("sq0atp-"), 0, C_WORD, 22, 22, S("square_token"), NULL},
    {S("sq0csp-"), 0, C_WORD, 43, 43, S("square_token"), NULL},
    {S("EAAA"), 0, C_WORD, 56, 0, S("square_token"), ask_mixed},
    {S("access_token$production$"), 12, C_ALNUM, 40, 0, S("paypal_token"), NULL},
    {S("dapi"), 0, C_WORD, 32, 34, S("databricks_token"), ask_mixed},
    {S("pscale_tkn_"), 5, C_DOTTED, 32, 64, S("planetscale_token"), NULL},
    {S("pscale_pw_"), 5, C_DOTTED, 32, 64, S("planetscale_token"), NULL},
    {S("pscale_oauth_"), 5, C_DOTTED, 32, 64, S("planetscale_token"), NULL},
    {S("lin_api_"), 1, C_ALNUM, 40, 40, S("linear_key"), NULL},
    {S("ntn_"), 1, C_ALNUM, 40, 60, S("notion_token"), NULL},
    {S("PMAK-"), 0, C_WORD, 59, 59, S("postman_key"), NULL},
    {S("figd_"), 1, C_WORD, 30, 60, S("figma_token"), NULL},
    {S("dp.pt."), 0, C_ALNUM, 40, 44, S("doppler_token"), NULL},
    {S("dp.st."), 0, C_DOTTED, 40, 80, S("doppler_token"), NULL},
    {S("hvs."), 0, C_WORD, 24, 0, S("vault_token"), NULL},
    {S("hvb."), 0, C_WORD, 24, 0, S("vault_token"), NULL},
    {S("hvr."), 0, C_WORD, 24, 0, S("vault_token"), NULL},
    {S("sntrys_"), 0, C_BASE64, 40, 0, S("sentry_token"), NULL},
    {S("sntryu_"), 0, C_HEX, 64, 64, S("sentry_token"), NULL},
    {S("glsa_"), 0, C_WORD, 41, 41, S("grafana_token"), NULL},
    {S("glc_"), 0, C_BASE64, 32, 0, S("grafana_token"), NULL},
    {S("NRAK-"), 1, C_ALNUM, 27, 27, S("newrelic_key"), NULL},
    {S("HRKU-"), 0, C_WORD, 30, 100, S("heroku_key"), NULL},
    {S("sbp_"), 0, C_HEX, 40, 40, S("supabase_token"), NULL},
    {S("nfp_"), 0, C_ALNUM, 36, 36, S("netlify_token"), NULL},
    {S("rnd_"), 0, C_ALNUM, 28, 40, S("render_token"), ask_mixed},
    {S("CFPAT-"), 0, C_WORD, 43, 43, S("contentful_token"), NULL},
    {S("dt0c01."), 1, C_DOTTED, 89, 89, S("dynatrace_token"), NULL},
    {S("EZAK"), 0, C_ALNUM, 54, 54, S("easypost_key"), NULL},
    {S("EZTK"), 0, C_ALNUM, 54, 54, S("easypost_key"), NULL},
    {S("pul-"), 1, C_HEX, 40, 40, S("pulumi_token"), NULL},
    {S("tskey-"), 0, C_WORD, 20, 100, S("tailscale_key"), NULL},
    {S("ATATT3"), 1, C_BASE64, 150, 0, S("atlassian_token"), NULL},
    {S("ATBB"), 1, C_ALNUM, 28, 40, S("bitbucket_token"), NULL},
    {S("sgp_"), 0, C_WORD, 40, 64, S("sourcegraph_token"), ask_mixed},
    {S("AQVN"), 1, C_WORD, 35, 38, S("yandex_key"), NULL},
    {S("SK"), 0, C_HEX, 32, 32, S("twilio_key"), NULL},
    {S("Q~"), 0, C_TOKEN, 31, 34, S("azure_secret"), ask_azure},
    {S(":AA"), 0, C_WORD, 33, 33, S("telegram_token"), ask_telegram},
    {S("eyJ"), 0, C_WORD, 12, 0, S("jwt"), ask_jwt},
    {S("-----BEGIN "), 4, 0, 0, 0, S("private_key"), ask_pem},
    {S("LS0tLS1CRUdJTi"), 2, C_BASE64, 60, 0, S("private_key"), ask_pem64},
    {S("://"), 0, 0, 0, 0, S("password"), ask_url},
    {S(":\\/\\/"), 0, 0, 0, 0, S("password"), ask_url},
    {S("Bearer "), 3, 0, 20, 0, S("token"), ask_bearer},
    {S("bearer "), 3, 0, 20, 0, S("token"), ask_bearer},
    {S("Basic "), 0, 0, 0, 0, S("authorization"), ask_basic},
};

/* Shapes by the first two of the bytes they are watched for: chains from a hash. */
static uint8_t first[256], following[LENGTH(shapes)]; /* 1 + index; 0: none */

static uint8_t slot(const char *p) { return (uint8_t)(p[0] * 5 ^ p[1] * 37); }

void scrub_shapes_init(void)
{
    _Static_assert(LENGTH(shapes) < 256, "an index is one byte");
    for (size_t i = LENGTH(shapes); i-- > 0;) { /* backwards: a chain is in the order of the table */
        const char *p = shapes[i].prefix.p + shapes[i].watch;
        for (int c = 0; c < 256; c++) /* of a prefix of two, the third is any of its class */
            if (shapes[i].prefix.n > 2 ? c == (unsigned char)p[2] : is((char)c, shapes[i].classes))
                scrub_watch((unsigned)ASK_SHAPE << i % 5, p[0], p[1], c);
        following[i] = first[slot(p)];
        first[slot(p)] = (uint8_t)(i + 1);
    }
}

struct found scrub_shape(struct scan *s, size_t i)
{
    if (i <= s->done)
        return NOTHING;
    for (size_t k = first[slot(s->p + i - 1)]; k > 0; k = following[k - 1]) {
        const struct shape *h = &shapes[k - 1];
        if (i - 1 < s->done + h->watch || !str_starts(rest(s, i - 1 - h->watch), h->prefix))
            continue;
        size_t from = i - 1 - h->watch;
        struct found f = h->ask ? h->ask(s, h, from) : ask_token(s, h, from);
        if (f.kind.p)
            return f;
    }
    return NOTHING;
}
