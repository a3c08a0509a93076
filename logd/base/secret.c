#include "base/secret.h"
#include "base/str.h"

#include <malloc.h>

enum { STACK_BYTES = 16 << 10 };

void secret_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

__attribute__((noinline)) void secret_stack(void)
{
    char below[STACK_BYTES];
    explicit_bzero(below, sizeof below);
}

str secret_json_reason(const char *text)
{
    str all = str_of(text);
    ptrdiff_t quoted = str_find(all, S(" near '"));
    return quoted < 0 ? all : str_head(all, (size_t)quoted);
}
