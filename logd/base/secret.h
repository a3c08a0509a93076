/* base/secret.h - what held a secret is wiped before somebody else gets the memory.
 *
 * What is posted is full of secrets until it was scrubbed; keys, cookies and passwords are secrets until they were hashed.
 * A core file, a page in swap or a read past a buffer's end would show them long after their request. So buffers and
 * arenas marked `secret` (buf.h, arena.h) wipe what they let go, jansson and the codecs free through secret_free, and
 * a thread that ran a handler wipes what its calls left on the stack.
 *
 * Not in our hands: the kernel's socket buffers, GnuTLS's copies of what it decrypts, registers. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/base.h"

void secret_free(void *p); /* wipes all that malloc gave; NULL is fine */
/* Wipes the 16 KiB of this thread's stack below the caller: what returned functions left there. */
void secret_stack(void);
/* jansson's reason why a text is no JSON, without the piece of the text that it quotes. */
str secret_json_reason(const char *text);

#endif
