/* SPDX-License-Identifier: BSD-3-Clause */
/* The TIFF reader without Python, for sanitizers and valgrind: small files written byte by byte,
 * legal ones, bad ones, and random mutants of the legal ones.
 *
 *     test_image                    all of it; status 1 and one line a failure
 *     test_image N FILE...          reads each file, then N mutants of it
 */
#include "phenoscale.h"
#include "tiny_tiff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition, ...)                                             \
    do {                                                                  \
        if (!(condition)) {                                               \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                 \
            fprintf(stderr, " (%s)\n", ps_error_detail());                \
            failures++;                                                   \
        }                                                                 \
    } while (0)

static int failures;
static char folder[64], path[96];
static image_file file;

static void
save(const void *bytes, size_t n)
{
    FILE *out;

    unlink(path); /* a file cut to nothing and written again is flushed to disk when closed */
    out = fopen(path, "wb");
    if (out == NULL || fwrite(bytes, 1, n, out) != n || fclose(out) != 0) {
        perror(path);
        exit(2);
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Open, read, close; *pixels is the caller's to free.  wide: bytes of a pixel, over 4 for those of
 * the file's own type. */
static int
read_any(const char *name, int64_t page, int wide, ps_image_info *info, void **pixels)
{
    ps_image *image = NULL;
    int ret = ps_image_open(&image, name, page);

    *pixels = NULL;
    if (ret == PS_OK) {
        *info = *ps_image_about(image);
        if (wide < (int)info->dtype)
            wide = (int)info->dtype;
        int bytes = wide > 4 ? info->native_bytes : wide;
        *pixels = malloc((size_t)(info->samples * info->height * info->width * bytes));
        ret = !*pixels  ? PS_NO_MEMORY
              : wide > 4 ? ps_image_read_native(image, *pixels)
                         : ps_image_read(image, (ps_dtype)wide, *pixels);
    }
    ps_image_close(image);
    return ret;
}

static double
pixel(const void *pixels, int wide, int64_t i)
{
    return wide == 1   ? ((const uint8_t *)pixels)[i]
           : wide == 2 ? ((const uint16_t *)pixels)[i]
                       : (double)((const float *)pixels)[i];
}

static void
expect(const char *what, int status)
{
    ps_image_info info;
    void *pixels;
    int ret = read_any(path, 0, 1, &info, &pixels);

    free(pixels);
    CHECK(ret == status, "%s: %s, not %s", what, ps_error_name(ret), ps_error_name(status));
    CHECK(ret == PS_OK || strstr(ps_error_detail(), path), "%s: file not named", what);
}

static void
expect_pixels(const spec *of)
{
    for (int page = 0; page < of->pages; page++)
        for (int wide = of->bytes; wide <= 4; wide *= 2) {
            ps_image_info info = {0};
            void *pixels;
            int64_t wrong = 0, i = 0;
            int ret = read_any(path, page, wide, &info, &pixels);

            CHECK(ret == PS_OK, "page %d", page);
            CHECK(info.pages == of->pages && info.samples == of->samples && info.height == H &&
                  info.width == W && (int)info.dtype == of->bytes, "information");
            for (int s = 0; ret == PS_OK && s < of->samples; s++)
                for (int y = 0; y < H; y++)
                    for (int x = 0; x < W; x++)
                        wrong += pixel(pixels, wide, i++) != value_at(page, s, y, x, of->bytes);
            CHECK(wrong == 0, "%d bytes as %d, endian %d, big %d, planar %d, tiled %d, codec %d",
                  of->bytes, wide, of->big_endian, of->big_tiff, of->planar, of->tiled, of->codec);
            free(pixels);
        }
}

static void
test_legal(void)
{
    for (int kind = 0; kind < 96; kind++) {
        spec of = legal(kind);

        make(&file, &of);
        save(file.bytes, file.n);
        expect_pixels(&of);
    }
}

/* ---- what a palette, a number or a tag may be ------------------------------------------------ */

static void
test_palette(void)
{
    static const struct {
        const char *what;
        int start, slope, divisor, bend, status;
    } maps[] = {{"x257", 0, 257, 257, 0, PS_OK},        {"x256", 0, 256, 256, 0, PS_OK},
                {"8-bit", 0, 1, 1, 0, PS_OK},           {"inverted", 65535, -257, 257, 0, PS_OK},
                {"scaled", 20 * 257, 128, 256, 0, PS_OK}, {"flat", 9999, 0, 1, 0, PS_UNSUPPORTED},
                {"bent", 0, 257, 257, 1000, PS_UNSUPPORTED}};
    spec of = {.samples = 1, .bytes = 1, .codec = NONE, .pages = 1, .photometric = 3};
    ps_image_info info;
    void *pixels;

    for (size_t row = 0; row < sizeof maps / sizeof *maps; row++) {
        int ret, wrong = 0;

        for (int i = 0; i < 256; i++)
            of.gray[i] = (uint16_t)(maps[row].start + maps[row].slope * i);
        of.gray[100] = (uint16_t)(of.gray[100] + maps[row].bend);
        make(&file, &of);
        save(file.bytes, file.n);
        ret = read_any(path, 0, 1, &info, &pixels);
        CHECK(ret == maps[row].status, "%s", maps[row].what);
        for (int i = 0; ret == PS_OK && i < H * W; i++) {
            int gray = of.gray[(int)value_at(0, 0, i / W, i % W, 1)];
            wrong += ((uint8_t *)pixels)[i] != gray / maps[row].divisor;
        }
        CHECK(wrong == 0, "%s: %d pixels", maps[row].what, wrong);
        free(pixels);
    }
}

static void
test_values(void)
{
    spec of = {.samples = 1, .bytes = 4, .codec = NONE, .pages = 1, .photometric = 0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    ps_image_info info = {0};
    void *pixels;

    make(&file, &of);
    save(file.bytes, file.n);
    CHECK(read_any(path, 0, 1, &info, &pixels) == PS_OK && info.is_min_white, "min is white");
    free(pixels);
    for (int i = 0; i < 3; i++) {
        memcpy(file.bytes + 8 + 40 * i, &bad[i], 4); /* pixels begin after the header */
        save(file.bytes, file.n);
        expect("not finite", PS_BAD_IMAGE);
        CHECK(strstr(ps_error_detail(), i == 0 ? " 1 of " : i == 1 ? " 2 of " : " 3 of "), "count");
    }
}

static void
test_tags(void)
{
    static const struct {
        const char *what;
        int tag;
        uint64_t value;
        int status;
    } tags[] = {{"no columns", 256, 0, PS_BAD_IMAGE},
                {"wider than the file", 256, 40 * W, PS_BAD_IMAGE},
                {"huge", 256, 0xffffffff, PS_LIMIT},
                {"just too many pixels", 256, PS_LIMIT_PIXELS / H + 1, PS_LIMIT},
                {"expansion", 256, PS_LIMIT_SMALL / H + 9, PS_LIMIT},
                {"1 bit", 258, 1, PS_OK},
                {"12 bits in two thirds of the bytes", 258, 12, PS_BAD_IMAGE},
                {"16 bits in half the bytes", 258, 16, PS_BAD_IMAGE},
                {"20 bits", 258, 20, PS_UNSUPPORTED},
                {"64 bits in an eighth of the bytes", 258, 64, PS_BAD_IMAGE},
                {"old JPEG", 259, 6, PS_UNSUPPORTED},
                {"PixarLog", 259, 32909, PS_UNSUPPORTED},
                {"ThunderScan", 259, 32809, PS_UNSUPPORTED},
                {"unknown codec", 259, 777, PS_UNSUPPORTED},
                {"Deflate that is none", 259, 8, PS_BAD_IMAGE},
                {"LZW that is none", 259, 5, PS_BAD_IMAGE},
                {"JPEG that is none", 259, 7, PS_BAD_IMAGE},
                {"ZSTD that is none", 259, 50000, PS_BAD_IMAGE},
                {"CMYK", 262, 5, PS_UNSUPPORTED},
                {"YCbCr of one sample", 262, 6, PS_BAD_IMAGE},
                {"CIELab", 262, 8, PS_UNSUPPORTED},
                {"strip list past the end", 273, 0xfffffff0, PS_BAD_IMAGE},
                {"0 samples", 277, 0, PS_BAD_IMAGE},
                {"17 samples", 277, 17, PS_LIMIT},
                {"0xfff9 samples", 277, 0xfff9, PS_LIMIT},
                {"no rows a strip", 278, 0, PS_BAD_IMAGE},
                {"strips longer than stated", 278, ROWS + 1, PS_BAD_IMAGE},
                {"one strip longer than stated", 278, 0xffffffff, PS_BAD_IMAGE},
                {"signed", 339, 2, PS_OK},
                {"complex", 339, 6, PS_UNSUPPORTED}};

    for (size_t row = 0; row < sizeof tags / sizeof *tags; row++) {
        spec of = {.samples = 1, .bytes = 1, .codec = NONE, .pages = 1, .photometric = 1,
                   .tag = tags[row].tag, .value = tags[row].value};

        make(&file, &of);
        save(file.bytes, file.n);
        expect(tags[row].what, tags[row].status);
    }
}

/* ---- files that are not what they say -------------------------------------------------------- */

/* A list of n pages of one entry each, the last pointing to page `back`, or nowhere if negative;
 * all in front of a legal image, which is page 0. */
static void
test_page_list(const char *what, int n, int back, int status)
{
    spec of = {.samples = 1, .bytes = 1, .codec = NONE, .pages = 1, .photometric = 1};
    size_t first;

    make(&file, &of);
    first = file.n;
    file.n -= 4;
    for (int i = 0; i < n - 1; i++) {
        put(&file, file.n + 4, 4);
        put(&file, 1, 2);
        put_entry(&file, &of, 256, 4, 1, W);
    }
    put(&file, back < 0 ? 0 : first + (size_t)back * 18, 4);
    save(file.bytes, file.n);
    expect(what, status);
}

static void
test_strangers(void)
{
    ps_image *image = NULL;
    char name[128];

    save("Well,Site\nA01,1\n", 16);
    expect("text", PS_BAD_IMAGE);
    save("\x89PNG\r\n\x1a\n", 8);
    expect("PNG", PS_BAD_IMAGE);
    save("", 0);
    expect("empty", PS_BAD_IMAGE);
    save("II*\0\0\0\0\0", 8);
    expect("no page", PS_BAD_IMAGE);
    CHECK(ps_image_open(&image, folder, 0) == PS_IO, "a folder");
    CHECK(ps_image_open(&image, "/dev/zero", 0) == PS_IO, "a device");
    CHECK(ps_image_open(&image, "/nonexistent/a.tif", 0) == PS_IO, "no such file");
    snprintf(name, sizeof name, "%s/pipe", folder);
    CHECK(mkfifo(name, 0600) == 0 && ps_image_open(&image, name, 0) == PS_IO, "a pipe");
    unlink(name);
    snprintf(name, sizeof name, "%s/loop", folder);
    CHECK(symlink(name, name) == 0 && ps_image_open(&image, name, 0) == PS_IO, "a link to itself");
    unlink(name);
    CHECK(image == NULL, "left open");
    ps_image_close(NULL);
}

static void
test_arguments(void)
{
    spec of = legal(32); /* 16 bits */
    ps_image *image = NULL;
    uint16_t pixels[1];

    make(&file, &of);
    save(file.bytes, file.n);
    CHECK(ps_image_open(&image, path, 2) == PS_BAD_VALUE, "page past the last");
    CHECK(ps_image_open(&image, path, -1) == PS_BAD_VALUE, "page before the first");
    CHECK(ps_image_open(&image, path, 1) == PS_OK, "the last page");
    CHECK(ps_image_read(image, PS_UINT8, pixels) == PS_BAD_VALUE, "a narrower type");
    CHECK(ps_image_read(image, (ps_dtype)3, pixels) == PS_BAD_VALUE, "no type");
    ps_image_close(image);
}

/* Every beginning of a file is an error, never a picture: its list of pages is at its end. */
static void
test_truncation(void)
{
    for (int kind = 0; kind < 96; kind += 13) {
        spec of = legal(kind);

        of.samples = of.samples > 3 ? 3 : of.samples;
        of.pages = 1;
        make(&file, &of);
        for (size_t n = 8; n + (of.big_tiff ? 8 : 4) < file.n; n += 11) {
            save(file.bytes, n);
            expect("truncated", PS_BAD_IMAGE);
        }
    }
}

/* ---- mutants -------------------------------------------------------------------------------- */

/* Pixels or a known error that names the file, within a second. */
static void
test_mutants(const unsigned char *bytes, size_t n, int count)
{
    unsigned char *mutant = malloc(n);
    ps_image_info info;
    void *pixels;

    for (int i = 0; mutant != NULL && i < count; i++) {
        struct timespec start, end;
        int ret;

        memcpy(mutant, bytes, n);
        save(mutant, mutate(mutant, n));
        clock_gettime(CLOCK_MONOTONIC, &start);
        ret = read_any(path, 0, i % 4 == 0 ? 8 : i % 4 == 1 ? 4 : 1, &info, &pixels);
        clock_gettime(CLOCK_MONOTONIC, &end);
        free(pixels);
        CHECK(ret == PS_OK || ((ret == PS_IO || ret == PS_BAD_IMAGE || ret == PS_UNSUPPORTED ||
                                ret == PS_LIMIT || ret == PS_BAD_VALUE) &&
                               strstr(ps_error_detail(), path)), "%s", ps_error_name(ret));
        CHECK(end.tv_sec - start.tv_sec < 2, "%ld s", (long)(end.tv_sec - start.tv_sec));
    }
    free(mutant);
}

static void
test_file(const char *name, int count)
{
    FILE *in = fopen(name, "rb");
    ps_image_info info;
    void *pixels;
    int ret = read_any(name, 0, 1, &info, &pixels);

    printf("%s %s\n", ps_error_name(ret), ret == PS_OK ? name : ps_error_detail());
    free(pixels);
    file.n = in ? fread(file.bytes, 1, ROOM, in) : 0;
    if (in != NULL)
        fclose(in);
    if (file.n > 8)
        test_mutants(file.bytes, file.n, count);
}

int
main(int argc, char **argv)
{
    const char *parent = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%.40s/phenoscale-XXXXXX", parent ? parent : P_tmpdir);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 2;
    }
    snprintf(path, sizeof path, "%s/image.tif", folder);
    int mutants = argc > 1 ? atoi(argv[1]) : 2000; /* of each file named, or in all */
    for (int i = 2; i < argc; i++)
        test_file(argv[i], mutants);
    if (argc < 3) {
        test_legal();
        test_palette();
        test_values();
        test_tags();
        test_page_list("most pages", PS_LIMIT_PAGES, -1, PS_OK);
        test_page_list("too many pages", PS_LIMIT_PAGES + 1, -1, PS_LIMIT);
        test_page_list("circle of one", 2, 0, PS_BAD_IMAGE);
        test_page_list("circle of many", 3000, 1000, PS_BAD_IMAGE);
        test_strangers();
        test_arguments();
        test_truncation();
        for (int kind = 0; kind < 96; kind++) {
            static const int bits[] = {0, 0, 0, 1, 5, 12, 24, 32, 64}; /* 0: as the file is */
            spec of = legal(kind);

            of.tag = bits[kind % 9] && of.samples == 1 ? 258 : 0;
            of.value = (uint64_t)bits[kind % 9];
            make(&file, &of);
            test_mutants(file.bytes, file.n, mutants / 96 + 1);
        }
    }
    unlink(path);
    rmdir(folder);
    if (failures != 0)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
