/* What the scrubber takes and what it leaves. */
#include "event/scrub.h"
#include "unit.h"

static str scrub(str text)
{
    static struct buf out = BUF_INIT(64 << 20);
    buf_reset(&out);
    if (scrub_clean(text, &out)) {
        CHECK_INT(out.n, 0);
        return text;
    }
    return buf_view(&out);
}

static void check_cases(const char *const (*cases)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *once;
        CHECK_STR(scrub(str_of(cases[i][0])), cases[i][1] ? str_of(cases[i][1]) : str_of(cases[i][0]));
        once = str_dup(scrub(str_of(cases[i][0])));
        CHECK_STR(scrub(str_of(once)), str_of(once));
        free(once);
    }
}

TEST(secret_names_are_known_whatever_their_spelling)
{
    static const char *const secret[][2] = {
        {"password", "password"},
        {"Passwd", "password"},
        {"PWD.pwd", "password"},
        {"db_password", "password"},
        {"userToken", "token"},
        {"X-Api-Key", "api_key"},
        {"accessToken", "token"},
        {"smtpPasswd", "password"},
        {"refresh_token", "token"},
        {"http.request.headers.authorization", "authorization"},
        {"Set-Cookie", "cookie"},
        {"password_hash", "password"},
        {"password2", "password"},
        {"APIKey", "api_key"},
        {"client_secret", "secret"},
        {"aws_secret_access_key", "api_key"},
        {"AWSSecretAccessKey", "api_key"},
        {"PHPSESSID", "session"},
        {"csrfmiddlewaretoken", "token"},
        {"_csrf", "csrf"},
        {"otp", "otp"},
        {"privateKey", "private_key"},
        {"connect.sid", "session"},
        {"token_1", "token"},
        {"secret_key_base", "secret"},
        {"apikey", "api_key"},
    };
    for (size_t i = 0; i < LENGTH(secret); i++)
        CHECK_STR(scrub_name(str_of(secret[i][0])), str_of(secret[i][1]));
}

TEST(names_that_only_sound_secret_are_left)
{
    static const char *const plain[] = {
        "",          "tokens_used", "token_count",     "passwordless",  "max_tokens",   "author", "cookie_count",
        "secretary", "token_type",  "password_change", "keyboard",      "key",          "auth",   "auth.action",
        "id",        "PWD",         "next_token",      "nextPageToken", "has_password", "tokens", "session",
        "user",      "public_key",  "primary_key",     "cookieless",    "...",          "-",      "monkey",
        "opinion",   "shipping",    "bypass",          "compass",
    };
    for (size_t i = 0; i < LENGTH(plain); i++)
        if (scrub_name(str_of(plain[i])).p)
            CHECK_STR(str_of(plain[i]), S("left alone"));
}

TEST(pairs_in_text_lose_their_value_only)
{
    static const char *const cases[][2] = {
        {"password=hunter2", "password=[redacted:password]"},
        {"{\"a\":1,\"token\": \"x\",\"b\":2}", "{\"a\":1,\"token\": \"[redacted:token]\",\"b\":2}"},
        {"q?token%3Dx%26y", "q?token%3D[redacted:token]%26y"},
        {"pwd: x", "pwd: [redacted:password]"},
        {"api-key = 'x y' z", "api-key = '[redacted:api_key]' z"},
        {"GET /q?token=SECRET&x=%22 HTTP/1.1", "GET /q?token=[redacted:token]&x=%22 HTTP/1.1"},
        {"at f (http://h:1/o?token=SECRET:6:97)", "at f (http://h:1/o?token=[redacted:token]:6:97)"},
        {"o?id=9&token=S#frag", "o?id=9&token=[redacted:token]#frag"},
        {"x {\\\"password\\\":\\\"hunter2\\\",\\\"a\\\":1}",
         "x {\\\"password\\\":\\\"[redacted:password]\\\",\\\"a\\\":1}"},
        {"{password: 'hunter2', plan: 'x'}", "{password: '[redacted:password]', plan: 'x'}"},
        {"'pin':1234, 'a'", "'pin':'[redacted:pin]', 'a'"},
        {"Cookie: a=b; c=d\nHost: x", "Cookie: [redacted:cookie]\nHost: x"},
        {"Authorization: Bearer x\nHost: x", "Authorization: [redacted:authorization]\nHost: x"},
        {"user=bob password=a,b;c next=1", "user=bob password=[redacted:password] next=1"},
        {"Server=h;Password=x;Db=y", "Server=h;Password=[redacted:password];Db=y"},
        {"postgres://bob:s3cr3t@db/x", "postgres://bob:[redacted:password]@db/x"},
    };
    check_cases(cases, LENGTH(cases));
}

TEST(prose_about_secrets_stays)
{
    static const char *const cases[][2] = {
        {"Failed password for root from 1.2.3.4 port 22 ssh2", NULL},
        {"password is wrong for bob", NULL},
        {"token expired", NULL},
        {"bad password", NULL},
        {"invalid token: signature has expired", NULL},
        {"SyntaxError: Unexpected token: punc here", NULL},
        {"sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root", NULL},
        {"tokens_used=512 max_tokens: 8192 token_count=3", NULL},
        {"std::Token::parse and Cookie::secret::x", NULL},
        {"if (password == other) {", NULL},
        {"https://registry.example:4873/@types/node", NULL},
        {"see https://public@sentry.example/1 and bob@example.com", NULL},
    };
    check_cases(cases, LENGTH(cases));
}

TEST(shapes_are_taken)
{
    static const char *const cases[][2] = {
        {"id AKIAIOSFODNN7EXAMPLE!", "id [redacted:aws_key]!"},
        {"a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_x b", "a [redacted:jwt] b"},
        {"card 4111 1111 1111 1111.", "card [redacted:card]."},
        {"5500-0000-0000-0004", "[redacted:card]"},
        {"4111111111111111", "[redacted:card]"},
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx", "[redacted:private_key]\nx"},
        {"a -----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n", "a [redacted:private_key]\\n"},
        {"ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted:github_token]"},
        {"X-Logd-Key lk_abcdefghij0123456789", "X-Logd-Key [redacted:logd_key]"},
    };
    check_cases(cases, LENGTH(cases));
}

TEST(numbers_and_hashes_are_no_secrets)
{
    static const char *const cases[][2] = {
        {"1795449055 1795449055092 1795449055092000 1795449055092000123", NULL},
        {"4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7", NULL},
        {"123e4567-e89b-12d3-a456-426614174000", NULL},
        {"blk_-1608999687919862906 blk_4568434182693165548", NULL},
        {"+4915112345678 0.4111111111111111 order 4111111111111112", NULL},
    };
    check_cases(cases, LENGTH(cases));
}

UNIT_MAIN
