/* SPDX-License-Identifier: BSD-3-Clause */
/* The loader without Python, for sanitizers: tiny files written byte by byte, one of them bad,
 * passes that end early and loaders freed at any moment.  Status 1 and a line a failure. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIELDS = 9, C = 2, H = 5, W = 7, BAD = 4 };

static char folder[] = "loader-XXXXXX"; /* where the program is run */
static char paths[FIELDS * C][96];
static const char *list[FIELDS * C];
static ps_plane planes[FIELDS * C];
static int64_t ends[FIELDS * C];

static void
put(FILE *file, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * i & 255), file);
}

static uint16_t
pixel(int field, int channel, int place)
{
    return (uint16_t)(field * 5000 + channel * 1000 + place);
}

/* An uncompressed little-endian 16-bit TIFF: header, pixels, one directory. */
static void
write_tiff(int field, int channel)
{
    const uint16_t entries[][2] = {{256, W}, {257, H}, {258, 16}, {259, 1}, {262, 1},
                                   {273, 8}, {277, 1}, {278, H},  {279, 2 * H * W}};
    const uint32_t n = sizeof entries / sizeof *entries;
    FILE *file = fopen(paths[field * C + channel], "wb");

    fputs("II*", file);
    fputc(0, file);
    put(file, 8 + 2 * H * W, 4);
    for (int i = 0; i < H * W; i++)
        put(file, pixel(field, channel, i), 2);
    put(file, n, 2);
    for (uint32_t i = 0; i < n; i++) {
        put(file, entries[i][0], 2);
        put(file, 3, 2); /* SHORT */
        put(file, 1, 4);
        put(file, entries[i][1], 4);
    }
    put(file, 0, 4);
    fclose(file);
}

static ps_loader *
loader_of(int64_t slots, int workers)
{
    const ps_loader_spec spec = {.n_fields = FIELDS, .c = C, .h = H, .w = W, .dtype = PS_UINT16,
                                 .n_files = FIELDS * C, .files = list, .planes = planes,
                                 .ends = ends, .bin = 1, .n_slots = slots, .n_workers = workers};
    ps_loader *loader = NULL;

    CHECK(ps_loader_init(&loader, &spec) == PS_OK);
    return loader;
}

/* The next field is `number`, or the bad one. */
static void
take(ps_loader *loader, int number)
{
    const void *pixels = NULL;
    int status;

    do
        status = ps_loader_next(loader, 0.01, &pixels);
    while (status == PS_AGAIN);
    CHECK(status == (number == BAD ? PS_IO : PS_OK));
    if (number == BAD)
        CHECK(strstr(ps_error_detail(), paths[BAD * C + 1]) != NULL);
    for (int i = 0; status == PS_OK && i < C * H * W; i++)
        CHECK(((const uint16_t *)pixels)[i] == pixel(number, i / (H * W), i % (H * W)));
}

static void
test_order(void)
{
    const int64_t order[] = {8, 0, 4, 4, 7, 1, 2, 3, 5, 6, 6, 0};
    const int n = sizeof order / sizeof *order;

    for (int round = 0; round < 16; round++) {
        ps_loader *loader = loader_of(1 + round % 4 * 2, 1 + round / 4);
        for (int epoch = 0; epoch < 2; epoch++) {
            CHECK(ps_loader_start(loader, order, NULL, n, 0, 1, 2) == PS_OK);
            for (int i = 0; i < n; i++) {
                take(loader, (int)order[i]);
                CHECK(ps_loader_release(loader, 1) == PS_OK);
            }
        }
        ps_loader_free(loader);
    }
}

/* Left or begun again after any number of fields, some of them not released. */
static void
test_leaving(void)
{
    const int64_t order[FIELDS] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

    for (int taken = 0; taken <= 3; taken++)
        for (int workers = 1; workers <= 4; workers++) {
            ps_loader *loader = loader_of(3, workers);
            for (int pass = 0; pass < 5; pass++) {
                CHECK(ps_loader_start(loader, order, NULL, FIELDS, PS_AUGMENT(0), 1, 2) == PS_OK);
                CHECK(ps_loader_start(loader, order, NULL, FIELDS, 0, 1, 2) == PS_OK);
                for (int i = 0; i < taken; i++)
                    take(loader, i);
            }
            ps_loader_free(loader);
        }
}

static void
test_misuse(void)
{
    const int64_t order[3] = {0, 1, 2}, outside[2] = {0, FIELDS};
    const void *pixels;
    ps_loader *loader = NULL;
    ps_loader_spec spec = {.n_fields = FIELDS, .c = 0, .h = H, .w = W, .dtype = PS_UINT16,
                           .files = list, .n_slots = 1, .n_workers = 1};

    CHECK(ps_loader_init(&loader, &spec) == PS_BAD_VALUE && !loader);
    loader = loader_of(2, 2);
    CHECK(ps_loader_next(loader, 0.01, &pixels) == PS_BAD_VALUE); /* nothing started */
    CHECK(ps_loader_start(loader, outside, NULL, 2, 0, 0, 0) == PS_BAD_VALUE);
    CHECK(ps_loader_start(loader, order, NULL, 3, 0, 0, 0) == PS_OK);
    CHECK(ps_loader_release(loader, 1) == PS_BAD_VALUE);
    take(loader, 0);
    take(loader, 1);
    CHECK(ps_loader_next(loader, 0.01, &pixels) == PS_BAD_VALUE); /* no slot is left */
    CHECK(ps_loader_release(loader, -1) == PS_BAD_VALUE);
    CHECK(ps_loader_release(loader, 2) == PS_OK);
    take(loader, 2);
    CHECK(ps_loader_next(loader, 0.01, &pixels) == PS_BAD_VALUE); /* the pass is over */
    ps_loader_free(loader);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return 2;
    for (int i = 0; i < FIELDS * C; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/field%d_channel%d.tif", folder, i / C, i % C);
        list[i] = paths[i];
        planes[i].file = i;
        ends[i] = i + 1;
        if (i != BAD * C + 1) /* missing */
            write_tiff(i / C, i % C);
    }
    test_order();
    test_leaving();
    test_misuse();
    for (int i = 0; i < FIELDS * C; i++)
        remove(paths[i]);
    rmdir(folder);
    return failures > 0;
}
