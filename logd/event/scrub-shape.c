/* Secrets that are known by their shape: tokens with a prefix of their issuer, JWT, private keys, card numbers and
 * passwords in URLs. */
#include "event/scrub-private.h"

/* A prefix, then at least `min` and at most `max` (0: any number) bytes of a class, bounded on both sides. */
static const struct shape {
    str prefix;
    uint8_t trigger; /* which two bytes of it to look for: rare ones */
    uint8_t cls;
    uint16_t min, max;
    str kind;
    bool digit; /* one digit at least: the prefix is also the start of words */
} shapes[] = {
    {S("AKIA"), 1, C_UPPER | C_DIGIT, 16, 16, S("aws_key"), 0},
    {S("ASIA"), 0, C_UPPER | C_DIGIT, 16, 16, S("aws_key"), 0},
    {S("ABIA"), 0, C_UPPER | C_DIGIT, 16, 16, S("aws_key"), 0},
    {S("ACCA"), 1, C_UPPER | C_DIGIT, 16, 16, S("aws_key"), 0},
    {S("ABSK"), 0, C_B64, 60, 0, S("aws_key"), 0},
    {S("IQoJb3JpZ2lu"), 0, C_B64, 60, 0, S("aws_key"), 0},
    {S("AIza"), 1, C_WORD, 35, 35, S("google_key"), 0},
    {S("ya29."), 1, C_DOTTED, 20, 0, S("google_token"), 0},
    {S("GOCSPX-"), 4, C_WORD, 28, 28, S("google_secret"), 0},
    {S("ghp_"), 0, C_ALNUM, 36, 255, S("github_token"), 0},
    {S("gho_"), 0, C_ALNUM, 36, 255, S("github_token"), 0},
    {S("ghu_"), 0, C_ALNUM, 36, 255, S("github_token"), 0},
    {S("ghs_"), 0, C_ALNUM, 36, 255, S("github_token"), 0},
    {S("ghr_"), 0, C_ALNUM, 36, 255, S("github_token"), 0},
    {S("github_pat_"), 5, C_WORD, 30, 255, S("github_token"), 0},
    {S("glpat-"), 0, C_DOTTED, 20, 255, S("gitlab_token"), 0},
    {S("gloas-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("gldt-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("glrt-"), 0, C_DOTTED, 20, 255, S("gitlab_token"), 0},
    {S("glcbt-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("glptt-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("glft-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("glagent-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("glsoat-"), 0, C_WORD, 20, 255, S("gitlab_token"), 0},
    {S("xoxb-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxp-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxa-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxr-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxs-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxo-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxe-"), 0, C_WORD, 10, 512, S("slack_token"), 0},
    {S("xoxe.xox"), 0, C_WORD, 10, 512, S("slack_token"), 0},
    {S("xoxc-"), 0, C_WORD, 10, 255, S("slack_token"), 0},
    {S("xoxd-"), 0, C_B64, 10, 512, S("slack_token"), 0},
    {S("xapp-"), 0, C_WORD, 10, 255, S("slack_token"), 1},
    {S("sk_live_"), 2, C_ALNUM, 10, 255, S("stripe_key"), 0},
    {S("sk_test_"), 2, C_ALNUM, 10, 255, S("stripe_key"), 0},
    {S("rk_live_"), 2, C_ALNUM, 10, 255, S("stripe_key"), 0},
    {S("rk_test_"), 2, C_ALNUM, 10, 255, S("stripe_key"), 0},
    {S("whsec_"), 1, C_B64, 20, 255, S("webhook_secret"), 0},
    {S("npm_"), 0, C_ALNUM, 36, 36, S("npm_token"), 0},
    {S("pypi-A"), 3, C_WORD, 50, 0, S("pypi_token"), 0},
    {S("SG."), 1, C_DOTTED, 66, 66, S("sendgrid_key"), 0},
    {S("SK"), 0, C_HEX, 32, 32, S("twilio_key"), 0},
    {S("key-"), 2, C_HEX, 32, 32, S("mailgun_key"), 0},
    {S("sk-ant-"), 4, C_WORD, 20, 0, S("anthropic_key"), 0},
    {S("sk-proj-"), 5, C_WORD, 20, 0, S("openai_key"), 0},
    {S("sk-"), 1, C_WORD, 20, 0, S("openai_key"), 1},
    {S("lk_"), 1, C_ALNUM, 20, 255, S("logd_key"), 0},
    {S("dop_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), 0},
    {S("doo_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), 0},
    {S("dor_v1_"), 3, C_HEX, 64, 64, S("digitalocean_token"), 0},
    {S("AGE-SECRET-KEY-1"), 3, C_UPPER | C_DIGIT, 58, 58, S("age_key"), 0},
    {S("shpat_"), 1, C_HEX, 32, 32, S("shopify_token"), 0},
    {S("shpca_"), 1, C_HEX, 32, 32, S("shopify_token"), 0},
    {S("shppa_"), 1, C_HEX, 32, 32, S("shopify_token"), 0},
    {S("shpss_"), 1, C_HEX, 32, 32, S("shopify_token"), 0},
    {S("sq0atp-"), 1, C_WORD, 22, 22, S("square_token"), 0},
    {S("sq0csp-"), 1, C_WORD, 43, 43, S("square_token"), 0},
    {S("EAAA"), 0, C_WORD, 56, 255, S("square_token"), 1},
    {S("hf_"), 0, C_ALNUM, 34, 40, S("huggingface_token"), 0},
    {S("dapi"), 2, C_WORD, 32, 34, S("databricks_token"), 1},
    {S("pscale_tkn_"), 7, C_DOTTED, 32, 64, S("planetscale_token"), 0},
    {S("pscale_pw_"), 6, C_DOTTED, 32, 64, S("planetscale_token"), 0},
    {S("pscale_oauth_"), 5, C_DOTTED, 32, 64, S("planetscale_token"), 0},
    {S("lin_api_"), 3, C_ALNUM, 40, 40, S("linear_key"), 0},
    {S("ntn_"), 2, C_ALNUM, 40, 60, S("notion_token"), 0},
    {S("PMAK-"), 1, C_WORD, 59, 59, S("postman_key"), 0},
    {S("figd_"), 3, C_WORD, 30, 60, S("figma_token"), 0},
    {S("dp.pt."), 1, C_ALNUM, 40, 44, S("doppler_token"), 0},
    {S("dp.st."), 1, C_DOTTED, 40, 80, S("doppler_token"), 0},
    {S("hvs."), 0, C_WORD, 24, 255, S("vault_token"), 0},
    {S("hvb."), 0, C_WORD, 24, 300, S("vault_token"), 0},
    {S("hvr."), 0, C_WORD, 24, 300, S("vault_token"), 0},
    {S("sntrys_"), 5, C_B64, 40, 0, S("sentry_token"), 0},
    {S("sntryu_"), 5, C_HEX, 64, 64, S("sentry_token"), 0},
    {S("glsa_"), 0, C_WORD, 41, 41, S("grafana_token"), 0},
    {S("glc_"), 0, C_B64, 32, 0, S("grafana_token"), 0},
    {S("NRAK-"), 1, C_ALNUM, 27, 27, S("newrelic_key"), 0},
    {S("HRKU-"), 1, C_WORD, 30, 100, S("heroku_key"), 0},
    {S("sbp_"), 1, C_HEX, 40, 40, S("supabase_token"), 0},
    {S("nfp_"), 0, C_ALNUM, 36, 36, S("netlify_token"), 0},
    {S("rnd_"), 1, C_ALNUM, 28, 40, S("render_token"), 1},
    {S("CFPAT-"), 0, C_WORD, 43, 43, S("contentful_token"), 0},
    {S("dt0c01."), 1, C_DOTTED, 89, 89, S("dynatrace_token"), 0},
    {S("EZAK"), 0, C_ALNUM, 54, 54, S("easypost_key"), 0},
    {S("EZTK"), 0, C_ALNUM, 54, 54, S("easypost_key"), 0},
    {S("pul-"), 2, C_HEX, 40, 40, S("pulumi_token"), 0},
    {S("rubygems_"), 3, C_HEX, 48, 48, S("rubygems_key"), 0},
    {S("dckr_pat_"), 1, C_WORD, 27, 32, S("docker_token"), 0},
    {S("xkeysib-"), 0, C_WORD, 60, 90, S("brevo_key"), 0},
    {S("xsmtpsib-"), 0, C_WORD, 60, 90, S("brevo_key"), 0},
    {S("tskey-"), 1, C_WORD, 20, 100, S("tailscale_key"), 0},
    {S("ATATT3"), 0, C_B64, 150, 0, S("atlassian_token"), 0},
    {S("ATBB"), 1, C_ALNUM, 28, 40, S("bitbucket_token"), 0},
    {S("gsk_"), 0, C_ALNUM, 50, 60, S("groq_key"), 0},
    {S("xai-"), 0, C_ALNUM, 70, 90, S("xai_key"), 0},
    {S("pplx-"), 0, C_ALNUM, 40, 60, S("perplexity_key"), 0},
    {S("r8_"), 0, C_ALNUM, 37, 37, S("replicate_token"), 0},
    {S("sgp_"), 0, C_WORD, 40, 64, S("sourcegraph_token"), 1},
    {S("nvapi-"), 0, C_WORD, 60, 80, S("nvidia_key"), 0},
    {S("AQVN"), 0, C_WORD, 35, 38, S("yandex_key"), 0},
    {S("LTAI"), 0, C_ALNUM, 17, 21, S("alibaba_key"), 0},
};

void scrub_shapes_init(uint8_t *pairs, uint8_t code)
{
    for (size_t i = 0; i < LENGTH(shapes); i++) {
        const char *p = shapes[i].prefix.p + shapes[i].trigger;
        pairs[(unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1]] = code;
    }
}

/* The end of the run of the class at i, not looking further than `max`. */
static size_t run(const struct scan *s, size_t i, unsigned cls, size_t max)
{
    size_t end = i, stop = s->n - i < max ? s->n : i + max;
    while (end < stop && is(s->p[end], cls))
        end++;
    return end;
}

static bool has_digit(const struct scan *s, size_t from, size_t to)
{
    for (; from < to; from++)
        if (is(s->p[from], C_DIGIT))
            return true;
    return false;
}

static size_t shape_end(struct scan *s, const struct shape *h, size_t from)
{
    size_t start = from + h->prefix.n, max = h->max ? h->max : 8192, end = run(s, start, h->cls, max);
    if (end - start < h->min || (h->max && is(at(s, end), C_ALNUM)))
        return 0;
    if (h->digit && !has_digit(s, start, end))
        return 0;
    return h->max ? end : run(s, end, h->cls, s->n);
}

/* An AWS secret key that stands right behind its id: 40 characters of base64. */
static size_t aws_secret(const struct scan *s, size_t end)
{
    size_t i = end;
    while (i < s->n && i < end + 4 && strchr(" \t,;:|/\"'", s->p[i]))
        i++;
    size_t to = run(s, i, C_B64, 41);
    return i > end && to - i == 40 ? to : end;
}

struct found scrub_prefix(struct scan *s, size_t i)
{
    for (const struct shape *h = shapes; h < shapes + LENGTH(shapes); h++) {
        if (i < s->done + h->trigger || s->p[i] != h->prefix.p[h->trigger])
            continue;
        size_t from = i - h->trigger, end;
        if (!str_starts((str){s->p + from, s->n - from}, h->prefix) || is(before(s, from), C_ALNUM))
            continue;
        if ((end = shape_end(s, h, from)) == 0)
            continue;
        if (str_eq(h->kind, S("aws_key")))
            end = aws_secret(s, end);
        return (struct found){from, end, h->kind, 0, 0};
    }
    return NOTHING;
}

/* Header and claims in base64url, each a JSON object, a signature or none; with JWE five parts. */
struct found scrub_jwt(struct scan *s, size_t i)
{
    if (i <= s->done || s->p[i - 1] != 'e')
        return NOTHING;
    size_t from = i - 1, dot = scrub_word_end(s, from), part = dot + 1;
    if (is(before(s, from), C_ALNUM) || dot - from < 12 || at(s, dot) != '.')
        return NOTHING;
    size_t end = scrub_word_end(s, part);
    if (end - part < 3)
        return NOTHING;
    for (int more = 0; more < 3 && at(s, end) == '.'; more++)
        end = run(s, end + 1, C_WORD, s->n);
    return (struct found){from, end, S("jwt"), 0, 0};
}

static bool in_pem(char c) { return is(c, C_B64) || (c && strchr(" \t\r\n\\:,.()", c)); }

/* From "-----BEGIN" to the end of "-----END …-----"; cut off, to where its body ends. */
struct found scrub_pem(struct scan *s, size_t i)
{
    str rest = {s->p + i + 1, s->n - i - 1};
    if (i < s->done + 4 || memcmp(s->p + i - 4, "-----", 5) != 0 || !str_starts(rest, S("BEGIN ")))
        return NOTHING;
    ptrdiff_t key = str_find(str_head(rest, 40), S("PRIVATE KEY"));
    if (key < 0)
        return NOTHING;
    size_t from = i - 4, end = i + 1 + (size_t)key + 11, stop;
    for (; end < s->n && in_pem(s->p[end]); end++)
        if (s->p[end] == '-' && str_starts((str){s->p + end, s->n - end}, S("-----END"))) {
            stop = end + 8;
            while (stop < s->n && stop < end + 60 && (is(s->p[stop], C_ALNUM) || s->p[stop] == ' '))
                stop++;
            end = run(s, stop, C_WORD, 5);
            break;
        }
    return (struct found){from, end, S("private_key"), 0, 0};
}

static int digit(char c) { return c - '0'; }

/* Issuers by the first four digits, and their lengths. */
static bool issued(unsigned four, size_t n, bool grouped)
{
    unsigned two = four / 100, three = four / 10;
    if (four / 1000 == 4)
        return n == 16 || (n == 13 && two != 49) || (n == 19 && grouped);
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720) || (four >= 2200 && four <= 2204))
        return n == 16;
    if (two == 34 || two == 37)
        return n == 15;
    if (four == 6011 || two == 65 || (three >= 644 && three <= 649) || (four >= 3528 && four <= 3589))
        return n == 16 || (n == 19 && grouped);
    if (two == 62)
        return n >= 16 && n <= 19;
    if ((three >= 300 && three <= 305) || two == 36 || two == 38 || two == 39)
        return n == 14;
    return n == 16 && (four == 5018 || four == 5020 || four == 5038 || four == 5893 || four == 6304 || four == 6759 ||
                       (four >= 6761 && four <= 6763));
}

static bool luhn(const char *d, size_t n)
{
    int sum = 0;
    for (size_t k = 0; k < n; k++) {
        int v = digit(d[n - 1 - k]) * (k % 2 ? 2 : 1);
        sum += v > 9 ? v - 9 : v;
    }
    return sum % 10 == 0;
}

/* A barcode has the same length as an old Visa number, and its own check digit. */
static bool is_ean13(const char *d)
{
    int sum = 0;
    for (int k = 0; k < 12; k++)
        sum += digit(d[k]) * (k % 2 ? 3 : 1);
    return (sum + digit(d[12])) % 10 == 0;
}

/* Part of something longer: a word, a decimal, a negative number, a UUID. */
static bool card_bounded(const struct scan *s, size_t from, size_t to, char sep)
{
    char a = before(s, from), b = at(s, to);
    if (is(a, C_ALNUM) || a == '_' || is(b, C_ALNUM) || b == '_')
        return false;
    char aa = from >= s->done + 2 ? s->p[from - 2] : '\0', bb = at(s, to + 1);
    if ((a == '.' || a == '-') && (!is(aa, C_ALNUM) || is(aa, C_DIGIT)))
        return false;
    if ((b == '.' || b == '-') && is(bb, C_ALNUM))
        return false;
    return !sep || !((a == sep && is(aa, C_DIGIT)) || (b == sep && is(bb, C_DIGIT)));
}

struct found scrub_card(struct scan *s, size_t i)
{
    char d[20], sep = 0;
    size_t n = 0, end = i, group = 0;
    if (is(before(s, i), C_ALNUM) || !is(at(s, i + 2), C_DIGIT) || !is(at(s, i + 3), C_DIGIT))
        return NOTHING;
    for (; n < sizeof d; end++) {
        char c = at(s, end);
        if (is(c, C_DIGIT)) {
            d[n++] = c, group++;
            continue;
        }
        if ((c != ' ' && c != '-') || (sep && c != sep) || !is(at(s, end + 1), C_DIGIT) || group < 4 || group > 6)
            break;
        sep = c, group = 0;
    }
    if (n < 13 || n > 19 || (sep && (group < 3 || group > 6)) || !card_bounded(s, i, end, sep))
        return NOTHING;
    unsigned four = (unsigned)(digit(d[0]) * 1000 + digit(d[1]) * 100 + digit(d[2]) * 10 + digit(d[3]));
    if (!issued(four, n, sep != 0) || !luhn(d, n) || (n == 13 && (sep || is_ean13(d))))
        return NOTHING;
    return (struct found){i, end, S("card"), 0, 0};
}

static bool ends_authority(char c) { return (c && strchr("/?# \t\r\n\"'<>\\`|,;(){}", c)) || (unsigned char)c < ' '; }

/* user:password@ behind "://", also when its slashes are escaped ("\/\/"). */
struct found scrub_url(struct scan *s, size_t i)
{
    size_t p = i + 1, colon = 0, sign = 0;
    for (int k = 0; k < 2; k++) {
        p += at(s, p) == '\\';
        if (at(s, p++) != '/')
            return NOTHING;
    }
    size_t stop = s->n - p < 1024 ? s->n : p + 1024, start = p;
    for (; p < stop; p++) {
        char c = s->p[p];
        if (c == ':' && !colon)
            colon = p;
        else if (c == '@')
            sign = p;
        else if (ends_authority(c) && !(colon && !sign && strchr("#,;(){}|?", c)))
            break;
    }
    (void)start;
    if (!colon || !sign || sign <= colon + 1 || str_starts((str){s->p + colon + 1, s->n - colon - 1}, S("[redacted:")))
        return NOTHING;
    return (struct found){colon + 1, sign, S("password"), 0, 0};
}

/* 123456789:AA… and 33 more: a bot's number and its token. */
struct found scrub_telegram(struct scan *s, size_t i)
{
    size_t from = i, end;
    while (from > s->done && i - from < 11 && is(s->p[from - 1], C_DIGIT))
        from--;
    if (i - from < 8 || i - from > 10 || (end = run(s, i + 1, C_WORD, 36)) - i != 36)
        return NOTHING;
    return (struct found){i + 1, end, S("telegram_token"), 0, 0};
}
