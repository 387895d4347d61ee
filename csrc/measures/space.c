/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one field's measures: few large blocks, handed out from the front, taken back in
 * one step.  What one group of numbers worked in the next works in again, so that the system need
 * not find and clear new pages for each: that took longer than some of the measures. */
#include "measures.h"

#include <stdlib.h>
#include <string.h>

#define LEAST ((int64_t)16 << 20) /* bytes of a block; what is not touched costs nothing */
#define LINE 64

struct ps_block {
    ps_block *before;
    char *start;
    int64_t size, used;
};

static int
add_block(ps_space *self, int64_t size)
{
    int ret = PS_OK;
    ps_block *new = NULL;

    TRY(ps_array_zeroed(&new, 1, sizeof *new));
    new->size = size > LEAST ? size : LEAST;
    TRY(ps_array(&new->start, new->size, 1));
    new->before = self->last;
    self->last = new;
    new = NULL;
out:
    free(new);
    return ret;
}

int
ps_space_take(ps_space *self, void *pointer, int64_t count, size_t size)
{
    int ret = PS_OK;
    int64_t bytes;

    if (count < 0 || __builtin_mul_overflow(count, (int64_t)size, &bytes) ||
        bytes > (int64_t)1 << 46)
        FAIL(PS_LIMIT, "%lld values of %zu bytes are more than a machine can hold",
             (long long)count, size);
    bytes = (bytes + LINE - 1) / LINE * LINE;
    if (!self->last || self->last->size - self->last->used < bytes)
        TRY(add_block(self, bytes));
    char *at = self->last->start + self->last->used;
    self->last->used += bytes;
    memcpy(pointer, &at, sizeof at);
out:
    return ret;
}

int
ps_space_take_zeroed(ps_space *self, void *pointer, int64_t count, size_t size)
{
    int ret = ps_space_take(self, pointer, count, size);

    if (ret == PS_OK) {
        void *at;
        memcpy(&at, pointer, sizeof at);
        memset(at, 0, (size_t)count * size);
    }
    return ret;
}

ps_mark
ps_space_mark(const ps_space *self)
{
    return (ps_mark){self->last, self->last ? self->last->used : 0};
}

void
ps_space_back(ps_space *self, ps_mark mark)
{
    while (self->last != mark.block) {
        ps_block *last = self->last;
        self->last = last->before;
        free(last->start);
        free(last);
    }
    if (self->last)
        self->last->used = mark.used;
}
