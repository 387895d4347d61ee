/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum (Adler-32) at the end of each strip and tile of Deflate, which libtiff does not look
 * at where the stream goes on behind the rows that it wants, as one with a changed bit may.
 *
 *   pixels --as they were before compression--> a checksum --the last four bytes?--> good
 *                                                          --no--> the stream, by zlib, to its end
 *
 * The second way takes as long as the decoding; whole files go the first, but for those of unusual
 * writers (bytes behind the stream, more rows than are wanted, mirrored bits). */
#include "deflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "internal.h"

#define CHUNK (1 << 16)
#define MOST_MORE 4 /* times the rows of a whole block: what a stream may hold */

/* ---- rows as they were before compression --------------------------------------------------- */

/* Sample i less the one `step` before it, its bytes turned around where the file has them so. */
#define DIFFERENCES(NAME, TYPE, SWAP)                                                        \
    static void NAME(int64_t n, int64_t step, int is_swapped, const void *row, void *before) \
    {                                                                                        \
        const TYPE *restrict from = row;                                                     \
        TYPE *restrict to = before;                                                          \
                                                                                             \
        memcpy(to, from, (size_t)(step < n ? step : n) * sizeof *to);                        \
        for (int64_t i = step; i < n; i++)                                                   \
            to[i] = (TYPE)(from[i] - from[i - step]);                                        \
        if (is_swapped)                                                                      \
            for (int64_t i = 0; i < n; i++)                                                  \
                to[i] = (TYPE)SWAP(to[i]);                                                   \
    }
#define SAME(x) (x)
DIFFERENCES(differences_8, uint8_t, SAME)
DIFFERENCES(differences_16, uint16_t, __builtin_bswap16)
DIFFERENCES(differences_32, uint32_t, __builtin_bswap32)
DIFFERENCES(differences_64, uint64_t, __builtin_bswap64)

/* The highest bytes of all samples, then the next, ...: each less the one `step` before it.
 * Called with constant sizes, so that the inner loop is one of vectors. */
static inline void
float_differences(int64_t n, int64_t size, int64_t step, const unsigned char *restrict row,
                  unsigned char *restrict before)
{
    for (int64_t byte = 0; byte < size; byte++) {
        const unsigned char *from = row + size - 1 - byte, *above = from + 1 + (n - step) * size;
        unsigned char *to = before + byte * n;
        for (int64_t i = 0; i < step && i < n; i++)
            to[i] = (unsigned char)(from[i * size] - (byte ? above[i * size] : 0));
        for (int64_t i = step; i < n; i++)
            to[i] = (unsigned char)(from[i * size] - from[(i - step) * size]);
    }
}

/* Whether `before` is made: rows of packed samples are not. */
static int
undo(const ps_deflated *self, const unsigned char *row, unsigned char *before)
{
    static void (*const all[])(int64_t, int64_t, int, const void *, void *) = {
        [1] = differences_8, [2] = differences_16, [4] = differences_32, [8] = differences_64};
    const int64_t size = self->bits / 8, n = self->row_bytes / (size ? size : 1);
    const int64_t step = self->predictor < 2 ? n : self->per_pixel;

    if (self->bits % 8 != 0 || size == 3 || self->predictor > 3 || step > n)
        return 0;
    if (self->predictor < 3)
        all[size](n, step, self->is_swapped, row, before);
    else if (size == 4)
        float_differences(n, 4, step, row, before);
    else
        float_differences(n, size, step, row, before);
    return 1;
}

/* Whether the pixels have the checksum that the block ends with. */
static int
is_as_made(const ps_deflated *self, ps_file *file, unsigned char *spare)
{
    const int is_plain = self->predictor < 2 && (!self->is_swapped || self->bits <= 8);
    unsigned char end[4];
    uLong sum = adler32(0, NULL, 0);

    if (self->bytes < sizeof end || self->is_mirrored ||
        ps_file_read(file, (int64_t)(self->at + self->bytes - sizeof end), sizeof end, end) !=
            sizeof end)
        return 0;
    for (int64_t y = 0; y < self->rows; y++) {
        const unsigned char *row = self->pixels + y * self->row_bytes;
        if (!is_plain && !undo(self, row, spare))
            return 0;
        sum = adler32_z(sum, is_plain ? row : spare, (size_t)self->row_bytes);
    }
    return sum == ((uLong)end[0] << 24 | (uLong)end[1] << 16 | (uLong)end[2] << 8 | (uLong)end[3]);
}

/* ---- the stream itself ---------------------------------------------------------------------- */

static unsigned char
mirrored(unsigned char byte)
{
    byte = (unsigned char)((byte & 0x0f) << 4 | byte >> 4);
    byte = (unsigned char)((byte & 0x33) << 2 | (byte >> 2 & 0x33));
    return (unsigned char)((byte & 0x55) << 1 | (byte >> 1 & 0x55));
}

/* Its end is reached where its checksum is right, and not otherwise. */
static int
inflate_all(const ps_deflated *self, ps_file *file, z_stream *stream, unsigned char *spare)
{
    const uLong most = (uLong)(MOST_MORE * self->block_rows * self->row_bytes) + CHUNK;
    int ret = PS_OK, status = Z_OK;
    int64_t got;

    for (uint64_t done = 0; done < self->bytes && status == Z_OK; done += (uint64_t)got) {
        uint64_t left = self->bytes - done;
        got = ps_file_read(file, (int64_t)(self->at + done), left < CHUNK ? (int64_t)left : CHUNK,
                           spare);
        if (got == 0)
            break;
        for (int64_t i = 0; self->is_mirrored && i < got; i++)
            spare[i] = mirrored(spare[i]);
        stream->next_in = spare;
        stream->avail_in = (uInt)got;
        do {
            stream->next_out = spare + CHUNK;
            stream->avail_out = CHUNK;
            status = inflate(stream, Z_NO_FLUSH);
        } while (status == Z_OK && stream->avail_out == 0 && stream->total_out <= most);
        status = status == Z_BUF_ERROR ? Z_OK : status; /* it wants more, which may come */
    }
    if (status != Z_STREAM_END || stream->total_out < (uLong)(self->rows * self->row_bytes))
        FAIL(PS_BAD_IMAGE, "is damaged (%s); copy the file again from its source",
             stream->msg ? stream->msg : "its checksum is missing");
out:
    return ret;
}

int
ps_deflate_check(const ps_deflated *self, ps_file *file)
{
    int ret = PS_OK, is_begun = 0;
    z_stream stream = {0};
    unsigned char *spare = NULL;

    TRY(ps_array(&spare, self->row_bytes > 2 * CHUNK ? self->row_bytes : 2 * CHUNK, 1));
    if (is_as_made(self, file, spare))
        goto out;
    is_begun = inflateInit(&stream) == Z_OK;
    if (!is_begun)
        FAIL(PS_NO_MEMORY, "no memory to inflate it");
    TRY(inflate_all(self, file, &stream, spare));
out:
    if (is_begun)
        inflateEnd(&stream);
    free(spare);
    return ret;
}
