/* SPDX-License-Identifier: BSD-3-Clause */
/* TIFF files -> planes of their own depth: the first stage of the flow, the only user of libtiff.
 * A file is taken for hostile: the list of pages is walked and every size is checked here before
 * libtiff decodes a byte, and a strip that does not decode to its full length is an error. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#include "codecs.h"
#include "internal.h"
#include "pages.h"
#include "samples.h"

#define LIMIT_ALLOCATION ((int64_t)512 << 20) /* of libtiff, and of a block beside the image */
#define LIMIT_PADDING ((int64_t)64 << 20)     /* of tiles over 4 times the image */
#define COPY "copy the file again from its source"
#define CURE "save it as 8- or 16-bit gray or RGB"

struct ps_image {
    ps_image_info info;
    ps_pages file;
    TIFF *tiff;
    const ps_samples *kind;
    int bits;                 /* of a sample, as the file has it */
    int64_t block_w, block_h; /* a block is a tile, or a strip of whole rows */
    int64_t per_pixel;        /* samples of a pixel in a block: 1 when planar */
    int64_t row_bytes;        /* of a block */
    uint16_t codec;
    int is_tiled, is_mapped, is_guessed, is_estimated; /* by a palette; lengths */
    unsigned char map[256];
    char complaint[200]; /* libtiff's last, of the current call */
    char path[];
};

/* For errors and warnings both: the last one tells why a call failed. */
static int
on_complaint(TIFF *unused, void *image, const char *module, const char *format, va_list arguments)
{
    ps_image *self = image;

    (void)unused, (void)module;
    self->is_guessed |= strncmp(format, "Bogus", 5) == 0;
    self->is_estimated |= strstr(format, "calculating from imagelength") != NULL;
    vsnprintf(self->complaint, sizeof self->complaint, format, arguments);
    return 1; /* handled: the global handler would print */
}

/* a * b, or the largest number there is: for sizes on their way to a limit */
static int64_t
product(int64_t a, int64_t b)
{
    int64_t result;

    return __builtin_mul_overflow(a, b, &result) ? INT64_MAX : result;
}

/* Hand the file to libtiff, at its page; the descriptor is then libtiff's to close. */
static int
attach(ps_image *self, int64_t page)
{
    int ret = PS_OK;
    ps_pages *file = &self->file;
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();

    if (options == NULL)
        FAIL(PS_NO_MEMORY, "no memory to open it");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, LIMIT_ALLOCATION);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_complaint, self);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_complaint, self);
    /* m: no mmap, a file cut off meanwhile would raise SIGBUS; c: strips stay whole, not cut into
     * reads of 8 KB; h: no page is read but the one below */
    self->tiff = TIFFFdOpenExt(file->fd, "file", "rmch", options);
    TIFFOpenOptionsFree(options);
    if (self->tiff == NULL || !TIFFSetSubDirectory(self->tiff, file->page[page].offset))
        FAIL(PS_BAD_IMAGE, "its directory makes no sense (%s); " COPY ", or " CURE,
             self->complaint);
out:
    return ret;
}

static int
check_size(ps_image *self)
{
    ps_image_info *info = &self->info;
    const ps_pages *file = &self->file;
    int ret = PS_OK;
    const ps_codec *codec;
    uint16_t bits, format, samples;
    uint32_t depth, height = 0, tile_depth, width = 0;

    TIFFGetField(self->tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(self->tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_IMAGEDEPTH, &depth);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_TILEDEPTH, &tile_depth);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_COMPRESSION, &self->codec);
    if (width == 0 || height == 0 || samples == 0)
        FAIL(PS_BAD_IMAGE, "has no pixels; write it again");
    if (samples > PS_LIMIT_SAMPLES)
        FAIL(PS_LIMIT, "%d samples a pixel, over %d; save each as a file", samples,
             PS_LIMIT_SAMPLES);
    if (product(width, height) > PS_LIMIT_PIXELS)
        FAIL(PS_LIMIT, "%u x %u pixels, over %d in all; cut it into fields", height, width,
             PS_LIMIT_PIXELS);
    if (depth != 1 || tile_depth != 1 || file->planes > 1)
        FAIL(PS_UNSUPPORTED, "is a volume in one page; save its planes as pages");
    codec = ps_codec_find(self->codec);
    if (codec->expansion == 0 || !TIFFIsCODECConfigured(self->codec))
        FAIL(PS_UNSUPPORTED, "compression %d (%s) is not read here; save it uncompressed or with "
             "Deflate", self->codec, codec->name);
    self->bits = bits;
    self->kind = ps_samples_find(format, bits);
    if (self->kind == NULL || (self->codec == COMPRESSION_JPEG && bits != 8))
        FAIL(PS_UNSUPPORTED, "samples of %d bits, %s%s, are not read; " CURE, bits,
             ps_samples_format(format), self->codec == COMPRESSION_JPEG ? ", as JPEG" : "");
    if (file->predictor > 1 &&
        (self->codec == COMPRESSION_NONE || self->codec == COMPRESSION_PACKBITS))
        FAIL(PS_UNSUPPORTED, "has a predictor without compression; save it with Deflate");
    *info = (ps_image_info){file->pages, samples, height, width, self->kind->dtype,
                            self->kind->native, self->kind->bytes, 0};
    TRY(ps_codec_check(codec, info, bits, file->bytes));
out:
    return ret;
}

/* Only a gray ramp says what the indices are as counts: it is applied; others are refused. */
static int
read_palette(ps_image *self)
{
    int ret = PS_OK;
    uint16_t *red, *green, *blue;

    if (self->info.dtype != PS_UINT8 || self->info.samples != 1)
        FAIL(PS_UNSUPPORTED, "a palette is read with up to 8 bits and one sample only; " CURE);
    if (!TIFFGetField(self->tiff, TIFFTAG_COLORMAP, &red, &green, &blue))
        FAIL(PS_BAD_IMAGE, "its palette is missing; " CURE);
    if (!ps_samples_gray_map(self->bits, red, green, blue, self->map))
        FAIL(PS_UNSUPPORTED, "its palette is not a linear gray scale; save it as 8-bit gray");
    self->is_mapped = 1;
out:
    return ret;
}

static int
check_colour(ps_image *self)
{
    int ret = PS_OK;
    uint16_t planar, colour = PHOTOMETRIC_MINISBLACK; /* where the tag is missing */

    TIFFGetField(self->tiff, TIFFTAG_PHOTOMETRIC, &colour);
    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_PLANARCONFIG, &planar);
    self->per_pixel = planar == PLANARCONFIG_SEPARATE ? 1 : self->info.samples;
    self->info.is_min_white = colour == PHOTOMETRIC_MINISWHITE;
    if (colour == PHOTOMETRIC_PALETTE)
        TRY(read_palette(self));
    else if (colour == PHOTOMETRIC_YCBCR && self->codec == COMPRESSION_JPEG && self->per_pixel == 3)
        TIFFSetField(self->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    else if (colour > PHOTOMETRIC_RGB)
        FAIL(PS_UNSUPPORTED, "colour space %d (%s) is not read; " CURE, colour,
             colour == PHOTOMETRIC_SEPARATED ? "CMYK" : colour == PHOTOMETRIC_YCBCR ? "YCbCr"
             : colour == PHOTOMETRIC_CIELAB ? "CIELab" : "unknown");
out:
    return ret;
}

/* The stated lengths of uncompressed strips may be wrong: their rows say what they are. */
static int
check_lengths(const ps_image *self)
{
    const int64_t height = self->info.height, n = (height - 1) / self->block_h + 1;
    ps_strips strips = {.is_wrong = self->is_estimated};

    for (int64_t i = 0; i < n * (self->info.samples / self->per_pixel); i++) {
        int64_t rows = i % n < n - 1 ? self->block_h : height - (n - 1) * self->block_h;
        ps_strips_add(&strips, TIFFGetStrileOffset(self->tiff, (uint32_t)i),
                      TIFFGetStrileByteCount(self->tiff, (uint32_t)i), rows * self->row_bytes);
    }
    return ps_strips_check(&strips, &self->file);
}

static int
check_blocks(ps_image *self)
{
    const ps_image_info *info = &self->info;
    int ret = PS_OK;
    uint32_t block_w = 0, block_h = 0;
    int64_t bytes, blocks;

    self->is_tiled = TIFFIsTiled(self->tiff);
    TIFFGetField(self->tiff, TIFFTAG_TILEWIDTH, &block_w);
    TIFFGetFieldDefaulted(self->tiff, self->is_tiled ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP,
                          &block_h);
    self->block_w = self->is_tiled ? block_w : info->width;
    self->block_h = !self->is_tiled && block_h > info->height ? info->height : block_h;
    if (self->block_w == 0 || self->block_h == 0 ||
        (self->is_guessed && (self->is_tiled || self->codec != COMPRESSION_NONE)))
        FAIL(PS_BAD_IMAGE, "the size of its strips or tiles is wrong; " COPY);
    blocks = ((info->width - 1) / self->block_w + 1) * ((info->height - 1) / self->block_h + 1);
    self->row_bytes = (self->block_w * self->per_pixel * self->bits + 7) / 8;
    bytes = product(self->row_bytes, self->block_h);
    if (product(blocks, bytes) >
        4 * info->width * info->height * self->per_pixel * self->kind->bytes + LIMIT_PADDING)
        FAIL(PS_LIMIT, "its tiles are mostly outside the image; save it in strips");
    if ((self->is_tiled || self->per_pixel > 1) && bytes > LIMIT_ALLOCATION)
        FAIL(PS_LIMIT, "strips or tiles of %" PRId64 " bytes, the limit is %" PRId64 "; save it "
             "in smaller ones", bytes, LIMIT_ALLOCATION);
    if (!self->is_tiled && self->codec == COMPRESSION_NONE)
        TRY(check_lengths(self));
out:
    return ret;
}

int
ps_image_open(ps_image **self, const char *path, int64_t page)
{
    int ret = PS_OK;
    ps_image *image = calloc(1, sizeof *image + strlen(path) + 1);

    *self = NULL;
    if (image == NULL)
        FAIL(PS_NO_MEMORY, "no memory to open it");
    strcpy(image->path, path);
    TRY(ps_pages_find(&image->file, path, page));
    TRY(attach(image, page));
    TRY(check_size(image));
    TRY(check_colour(image));
    TRY(check_blocks(image));
    *self = image;
    image = NULL;
out:
    ps_image_close(image);
    return ret == PS_OK ? ret : ps_fail(ret, "%.700s: %s", path, ps_error_detail());
}

const ps_image_info *
ps_image_about(const ps_image *self)
{
    return &self->info;
}

int
ps_image_is_reduced(ps_image *self, int64_t page)
{
    ps_pages_measure(&self->file);
    return page >= 0 && page < self->file.pages && self->file.page[page].is_reduced;
}

void
ps_image_close(ps_image *self)
{
    if (self != NULL && self->tiff != NULL)
        TIFFClose(self->tiff);
    else if (self != NULL && self->file.is_open)
        close(self->file.fd);
    free(self);
}

static int
read_block(ps_image *self, uint32_t block, int64_t bytes, unsigned char *pixels)
{
    const char *kind = self->is_tiled ? "tile" : "strip";
    int ret = PS_OK;
    int64_t got;

    self->complaint[0] = '\0';
    /* libtiff reads uncompressed tiles whatever their stated length, and missing ones at 0 */
    if (TIFFGetStrileOffset(self->tiff, block) == 0 ||
        (self->is_tiled && self->codec == COMPRESSION_NONE &&
         TIFFGetStrileByteCount(self->tiff, block) < (uint64_t)bytes))
        FAIL(PS_BAD_IMAGE, "%s %" PRIu32 " is missing or too short; " COPY, kind, block);
    got = self->is_tiled ? TIFFReadEncodedTile(self->tiff, block, pixels, bytes)
                         : TIFFReadEncodedStrip(self->tiff, block, pixels, bytes);
    /* libjpeg fills up with gray what is missing, and only warns */
    if (got != bytes || (self->codec == COMPRESSION_JPEG && self->complaint[0]))
        FAIL(PS_BAD_IMAGE, "%s %" PRIu32 " is damaged (%s); " COPY, kind, block,
             self->complaint[0] ? self->complaint : "too short");
    if (self->bits == 24 && TIFFIsByteSwapped(self->tiff)) /* as packed: libtiff turned it around */
        TIFFSwabArrayOfTriples(pixels, bytes / 3);
out:
    return ret;
}

/* The part of a block (block_h, block_w, per_pixel) inside the image -> its planes at `to`. */
static void
scatter(const ps_image *self, int64_t rows, int64_t columns, const unsigned char *from,
        unsigned char *to)
{
    const int64_t to_row = self->info.width * self->kind->bytes;

    for (int64_t row = 0; row < rows; row++)
        for (int64_t s = 0; s < self->per_pixel; s++)
            ps_samples_take(self->kind, self->bits, s, self->per_pixel, columns,
                            from + row * self->row_bytes,
                            to + (s * self->info.height + row) * to_row);
}

/* Blocks, in the file's order -> planes (samples, h, w) of the native type. */
static int
read_blocks(ps_image *self, unsigned char *pixels)
{
    const ps_image_info *info = &self->info;
    const int is_direct = !self->is_tiled && self->per_pixel == 1 && self->kind->unpack == NULL;
    int ret = PS_OK;
    uint32_t block = 0;
    unsigned char *spare = NULL, *to;
    int64_t bytes, columns, rows;

    if (!is_direct)
        TRY(ps_array(&spare, self->block_h, (size_t)self->row_bytes));
    for (int64_t s = 0; s < info->samples; s += self->per_pixel)
        for (int64_t y = 0; y < info->height; y += self->block_h)
            for (int64_t x = 0; x < info->width; x += self->block_w, block++) {
                rows = info->height - y < self->block_h ? info->height - y : self->block_h;
                columns = info->width - x < self->block_w ? info->width - x : self->block_w;
                bytes = (self->is_tiled ? self->block_h : rows) * self->row_bytes;
                to = pixels + ((s * info->height + y) * info->width + x) * self->kind->bytes;
                TRY(read_block(self, block, bytes, is_direct ? to : spare));
                if (!is_direct)
                    scatter(self, rows, columns, spare, to);
            }
out:
    free(spare);
    return ret;
}

/* ps_image_read_native, its errors yet without the file's name. */
static int
read_native(ps_image *self, unsigned char *pixels)
{
    const int64_t n = self->info.samples * self->info.height * self->info.width;
    int ret = PS_OK;
    int64_t bad;

    TRY(read_blocks(self, pixels));
    for (int64_t i = 0; self->is_mapped && i < n; i++)
        pixels[i] = self->map[pixels[i]];
    bad = ps_samples_not_finite(self->kind, n, pixels);
    if (bad != 0)
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are NaN or infinite (as "
             "32-bit float); replace them by numbers", bad, n);
out:
    return ret;
}

int
ps_image_read_native(ps_image *self, void *pixels)
{
    int ret = read_native(self, pixels);

    return ret == PS_OK ? ret : ps_fail(ret, "%.700s: %s", self->path, ps_error_detail());
}

int
ps_image_read(ps_image *self, ps_dtype dtype, void *pixels)
{
    const int64_t n = self->info.samples * self->info.height * self->info.width;
    const int64_t bytes = self->kind->bytes;
    const int is_narrow = ps_samples_narrow(self->kind, dtype);
    int ret = PS_OK;
    unsigned char *native, *spare = NULL;

    if ((dtype < self->info.dtype && !is_narrow) ||
        (dtype != PS_UINT8 && dtype != PS_UINT16 && dtype != PS_FLOAT32))
        FAIL(PS_BAD_VALUE, "%s pixels do not fit %d bits; ask for a wider type",
             self->info.native, 8 * (int)dtype);
    if (bytes > (int64_t)dtype)
        TRY(ps_array(&spare, n, (size_t)bytes));
    native = spare ? spare : (unsigned char *)pixels + n * ((int64_t)dtype - bytes);
    TRY(read_native(self, native));
    if (!is_narrow)
        ps_samples_widen(self->kind, dtype, n, native, pixels);
    else
        TRY(ps_samples_check_counts(self->kind, n, native));
out:
    free(spare);
    return ret == PS_OK ? ret : ps_fail(ret, "%.700s: %s", self->path, ps_error_detail());
}

const char *
ps_image_description(const ps_image *self)
{
    char *text = NULL;

    return TIFFGetField(self->tiff, TIFFTAG_IMAGEDESCRIPTION, &text) && text ? text : "";
}

const char *
ps_tiff_version(void)
{
    return TIFFGetVersion();
}
