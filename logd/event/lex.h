/* event/lex.h - the letters of the query language: words, strings, fields, places.
 *
 * There is no token stream: what a byte means depends on where it stands (a comma ends a word in a list and nowhere
 * else), so the parsers of filters and stages ask for what they expect. Every function skips blanks first unless it
 * says otherwise. Columns count characters from 1.
 *
 * Owner   one parse; views point into the query's text, unescaped strings into the arena. */
#ifndef EVENT_LEX_H
#define EVENT_LEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct lexer {
    str text;
    size_t at;    /* the next byte */
    size_t depth; /* open groups and negations */
    size_t nodes; /* made so far */
    bool commas;  /* a comma ends a word everywhere */
};
/* Refuses more than LIMIT_QUERY bytes and what is not UTF-8. */
int lexer_init(struct lexer *l, str text, struct err *e) MUST_CHECK;
size_t lexer_column(const struct lexer *l, size_t at);
/* ERR_INPUT: "expected WHAT, got …" with the column of `at`. */
int lex_expected(const struct lexer *l, size_t at, struct err *e, const char *what, ...) PRINTF_LIKE(4, 5);

void lex_blanks(struct lexer *l);
int lex_byte_at(const struct lexer *l, size_t at);      /* -1: past the end; skips nothing */
int lex_peek(struct lexer *l);                          /* the next byte that is no blank, -1 at the end; stays there */
bool lex_take(struct lexer *l, char c);                 /* this byte, if it is next */
bool lex_is_keyword(struct lexer *l, const char *word); /* whatever the case, and a blank, bracket or quote after it */
bool lex_keyword(struct lexer *l, const char *word);    /* takes it */
/* Up to a blank, quote, pipe or bracket; `list`: or comma. Brackets that close before the next of these belong to the
 * word: main(), sshd(pam_unix)[99]. Empty when none starts here. */
str lex_word(struct lexer *l, bool list);
/* A field at l->at (no blanks skipped): a name, or anything between backquotes. Absent: there is none. */
str lex_field_here(struct lexer *l);
int lex_field(struct lexer *l, str *ret, struct err *e) MUST_CHECK; /* there must be one */
/* A "string": \" and \\ are escapes, other backslashes stand for themselves. */
int lex_string(struct lexer *l, struct arena *a, str *ret, struct err *e) MUST_CHECK;
/* Where byte `offset` of the string that starts at `start` stands in the text. */
size_t lex_string_offset(const struct lexer *l, size_t start, size_t offset);
bool lex_is_field_name(str s); /* needs no backquotes */
void lex_print_string(str s, struct buf *out);
void lex_print_field(str s, struct buf *out);

#endif
