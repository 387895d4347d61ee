/* SPDX-License-Identifier: BSD-3-Clause */
/* Small TIFFs written byte by byte, so that the C tests need no libtiff and can write what no
 * library would: pages of H x W pixels whose values are those of value_at(). */
#ifndef TINY_TIFF_H
#define TINY_TIFF_H

#include <stdint.h>
#include <string.h>

#define W 37
#define H 19
#define TILE 16
#define ROWS 7
#define ROOM (1 << 20)

enum { NONE = 1, PACKBITS = 32773 };

typedef struct {
    int big_endian, big_tiff, samples, bytes, planar, tiled, codec, pages;
    int photometric; /* 3 takes the palette `gray` */
    uint16_t gray[256];
    int tag;         /* this entry is written with `value` instead; 0: none */
    uint64_t value;
} spec;

typedef struct {
    unsigned char bytes[ROOM];
    size_t n;
    int big_endian;
} image_file;

static double
value_at(int page, int s, int y, int x, int bytes)
{
    double value = (x * 7 + y * 13 + s * 101 + page * 29) % 251;

    return bytes == 1 ? value : bytes == 2 ? value * 257 + s : value * 0.75 - 40;
}

static void
put(image_file *to, uint64_t value, int n)
{
    for (int i = 0; i < n; i++)
        to->bytes[to->n++] = (unsigned char)(value >> 8 * (to->big_endian ? n - 1 - i : i));
}

static void
put_pixel(image_file *to, double value, int bytes)
{
    float number = (float)value;
    uint32_t bits;

    memcpy(&bits, &number, 4);
    put(to, bytes == 4 ? bits : (uint64_t)value, bytes);
}

/* One strip or tile; PackBits as runs of literals of at most 128 bytes. */
static void
put_block(image_file *to, const spec *of, int page, int plane, int y0, int x0)
{
    static image_file raw;
    const int rows = of->tiled ? TILE : H - y0 < ROWS ? H - y0 : ROWS;
    const int columns = of->tiled ? TILE : W, n = of->planar ? 1 : of->samples;

    raw.n = 0;
    raw.big_endian = of->big_endian;
    for (int y = y0; y < y0 + rows; y++)
        for (int x = x0; x < x0 + columns; x++)
            for (int s = 0; s < n; s++)
                put_pixel(&raw, x < W && y < H ? value_at(page, plane + s, y, x, of->bytes) : 0,
                          of->bytes);
    for (size_t at = 0, run; at < raw.n; at += run) {
        run = raw.n - at < 128 || of->codec == NONE ? raw.n - at : 128;
        if (of->codec == PACKBITS)
            to->bytes[to->n++] = (unsigned char)(run - 1);
        memcpy(to->bytes + to->n, raw.bytes + at, run);
        to->n += run;
    }
}

static void
put_entry(image_file *to, const spec *of, int tag, int type, size_t count, uint64_t value)
{
    static const int sizes[] = {0, 1, 1, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8};
    const size_t start = to->n, room = of->big_tiff ? 8 : 4;
    const int size = count * (size_t)sizes[type] <= room ? sizes[type] : (int)room;

    put(to, (uint64_t)tag, 2);
    put(to, (uint64_t)type, 2);
    put(to, count, of->big_tiff ? 8 : 4);
    if (tag == 258 && count > 1 && count * 2 <= room) /* bits per sample, inline */
        for (size_t i = 0; i < count; i++)
            put(to, of->tag == tag ? of->value : value, 2);
    else
        put(to, of->tag == tag ? of->value : value, size);
    while (to->n < start + (of->big_tiff ? 20 : 12))
        to->bytes[to->n++] = 0;
}

/* The directory of a page; gives where the offset of the next one is to be written. */
static size_t
put_directory(image_file *to, const spec *of, int n_blocks, size_t offsets, size_t counts,
              size_t bits, size_t palette)
{
    const int is_palette = of->photometric == 3, long_type = of->big_tiff ? 16 : 4;

    put(to, (uint64_t)((of->tiled ? 12 : 11) + is_palette), of->big_tiff ? 8 : 2);
    put_entry(to, of, 256, 4, 1, W);
    put_entry(to, of, 257, 4, 1, H);
    put_entry(to, of, 258, 3, (size_t)of->samples,
              of->samples * 2 > (of->big_tiff ? 8 : 4) ? bits : (uint64_t)of->bytes * 8);
    put_entry(to, of, 259, 3, 1, (uint64_t)of->codec);
    put_entry(to, of, 262, 3, 1, (uint64_t)of->photometric);
    if (!of->tiled)
        put_entry(to, of, 273, long_type, (size_t)n_blocks, offsets);
    put_entry(to, of, 277, 3, 1, (uint64_t)of->samples);
    if (!of->tiled) {
        put_entry(to, of, 278, 4, 1, ROWS);
        put_entry(to, of, 279, long_type, (size_t)n_blocks, counts);
    }
    put_entry(to, of, 284, 3, 1, of->planar ? 2 : 1);
    if (is_palette)
        put_entry(to, of, 320, 3, 768, palette);
    if (of->tiled) {
        put_entry(to, of, 322, 4, 1, TILE);
        put_entry(to, of, 323, 4, 1, TILE);
        put_entry(to, of, 324, long_type, (size_t)n_blocks, offsets);
        put_entry(to, of, 325, long_type, (size_t)n_blocks, counts);
    }
    put_entry(to, of, 339, 3, 1, of->bytes == 4 ? 3 : 1);
    return to->n;
}

static void
make(image_file *to, const spec *of)
{
    const int word = of->big_tiff ? 8 : 4;
    size_t at[128], counts, bits, link, offsets, palette;
    int n;

    memset(to->bytes, 0, sizeof to->bytes);
    to->n = 0;
    to->big_endian = of->big_endian;
    put(to, of->big_endian ? 0x4d4d : 0x4949, 2);
    put(to, of->big_tiff ? 43 : 42, 2);
    if (of->big_tiff)
        put(to, of->big_endian ? 0x80000 : 8, 4); /* offset size 8, then 0 */
    link = to->n;
    put(to, 0, word);
    for (int page = 0; page < of->pages; page++) {
        n = 0;
        at[0] = to->n;
        for (int s = 0; s < (of->planar ? of->samples : 1); s++)
            for (int y = 0; y < H; y += of->tiled ? TILE : ROWS)
                for (int x = 0; x < W; x += of->tiled ? TILE : W) {
                    put_block(to, of, page, s, y, x);
                    at[++n] = to->n;
                }
        offsets = to->n;
        for (int i = 0; i < n; i++)
            put(to, at[i], word);
        counts = to->n;
        for (int i = 0; i < n; i++)
            put(to, at[i + 1] - at[i], word);
        bits = to->n;
        for (int i = 0; i < of->samples; i++)
            put(to, (uint64_t)of->bytes * 8, 2);
        palette = to->n;
        for (int i = 0; of->photometric == 3 && i < 768; i++)
            put(to, of->gray[i % 256], 2);
        counts = n == 1 ? at[1] - at[0] : counts;
        offsets = n == 1 ? at[0] : offsets;
        at[0] = to->n;
        to->n = link; /* the page before, or the header, points here */
        put(to, at[0], word);
        to->n = at[0];
        link = put_directory(to, of, n, offsets, counts, bits, palette);
        put(to, 0, word);
    }
}

/* Bit k of `kind` chooses; 96 kinds. */
static spec
legal(int kind)
{
    spec of = {.big_endian = kind & 1, .big_tiff = kind >> 1 & 1, .planar = kind >> 2 & 1,
               .tiled = kind >> 3 & 1, .codec = kind >> 4 & 1 ? PACKBITS : NONE, .pages = 2,
               .bytes = 1 << (kind / 32), .photometric = 1};

    of.samples = kind % 3 == 0 ? 1 : kind % 3 == 1 ? 3 : 16;
    return of;
}

static uint64_t
random_below(uint64_t n)
{
    static uint64_t state = 20260101; /* xorshift64, a fixed seed: the same mutants every time */

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

/* Change some bytes, or cut the end off; gives the new length. */
static size_t
mutate(unsigned char *bytes, size_t n)
{
    static const unsigned char words[] = {0, 1, 2, 3, 7, 8, 16, 0x7f, 0x80, 0xfe, 0xff};

    for (uint64_t times = 1 + random_below(4); times > 0; times--) {
        size_t at = (size_t)random_below(n), run = 1 + (size_t)random_below(8);
        size_t edges = n < 512 ? n : 256; /* directories are at the start or the end */

        if (random_below(2))
            at = (size_t)random_below(edges) + (random_below(2) ? 0 : n - edges);
        run = at + run > n ? n - at : run;
        switch (random_below(5)) {
        case 0: bytes[at] ^= (unsigned char)(1 << random_below(8)); break;
        case 1: memset(bytes + at, words[random_below(sizeof words)], run); break;
        case 2: bytes[at] = (unsigned char)random_below(256); break;
        case 3: memmove(bytes + at, bytes + random_below(n - run + 1), run); break;
        default: n = random_below(8) == 0 && at > 8 ? at : n;
        }
    }
    return n;
}

#endif
