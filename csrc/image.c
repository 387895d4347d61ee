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

#include "internal.h"
#include "pages.h"

#define LIMIT_ALLOCATION ((int64_t)512 << 20) /* of libtiff, and of a block beside the image */
#define LIMIT_PADDING ((int64_t)64 << 20)     /* of tiles over 4 times the image */
#define COPY "copy the file again from its source"
#define CURE "save it as 8- or 16-bit unsigned or 32-bit float, gray or RGB"

struct ps_image {
    ps_image_info info;
    TIFF *tiff;
    int64_t block_w, block_h; /* a block is a tile, or a strip of whole rows */
    int64_t per_pixel;        /* samples of a pixel in a block: 1 when planar */
    uint16_t codec;
    int is_tiled, is_mapped, is_guessed; /* mapped: by a palette; guessed: a strip's length */
    unsigned char map[256];
    char complaint[200]; /* libtiff's last, of the current call */
    char path[];
};

/* expansion: most decoded bytes a byte of file may stand for; 0: known by name, not read */
static const struct {
    uint16_t code;
    const char *name;
    int64_t expansion;
} codecs[] = {
    {COMPRESSION_NONE, "none", PS_LIMIT_EXPANSION},
    {COMPRESSION_LZW, "LZW", PS_LIMIT_EXPANSION},
    {COMPRESSION_ADOBE_DEFLATE, "Deflate", PS_LIMIT_EXPANSION},
    {COMPRESSION_DEFLATE, "Deflate", PS_LIMIT_EXPANSION},
    {COMPRESSION_PACKBITS, "PackBits", PS_LIMIT_EXPANSION},
    {COMPRESSION_ZSTD, "ZSTD", PS_LIMIT_EXPANSION_ZSTD},
    {COMPRESSION_JPEG, "JPEG", PS_LIMIT_EXPANSION},
    {COMPRESSION_OJPEG, "old-style JPEG", 0},
    {COMPRESSION_CCITTFAX3, "CCITT fax", 0},
    {COMPRESSION_CCITTFAX4, "CCITT fax", 0},
    {COMPRESSION_JP2000, "JPEG 2000", 0},
    {COMPRESSION_LZMA, "LZMA", 0},
    {COMPRESSION_WEBP, "WebP", 0},
    {0, "unknown", 0},
};

/* For errors and warnings both: the last one tells why a call failed. */
static int
on_complaint(TIFF *tiff, void *image, const char *module, const char *format, va_list arguments)
{
    ps_image *self = image;

    (void)tiff, (void)module;
    self->is_guessed |= strncmp(format, "Bogus", 5) == 0;
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

/* Hand the file to libtiff, at its page; the descriptor is then libtiff's. */
static int
attach(ps_image *self, ps_pages *file)
{
    int ret = PS_OK;
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
    if (self->tiff != NULL)
        file->fd = -1;
    if (self->tiff == NULL || !TIFFSetSubDirectory(self->tiff, file->offset))
        FAIL(PS_BAD_IMAGE, "its directory makes no sense (%s); " COPY ", or " CURE,
             self->complaint);
out:
    return ret;
}

static int
check_size(ps_image *self, const ps_pages *file)
{
    ps_image_info *info = &self->info;
    int ret = PS_OK, row = 0;
    uint16_t bits, format, samples;
    uint32_t depth, height = 0, tile_depth, width = 0;
    int64_t bytes;

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
        FAIL(PS_LIMIT, "%" PRIu32 " x %" PRIu32 " pixels, over %d in all; cut it into fields",
             height, width, PS_LIMIT_PIXELS);
    if (depth != 1 || tile_depth != 1)
        FAIL(PS_UNSUPPORTED, "is a volume in one page; save its planes as pages");
    if (!(format == SAMPLEFORMAT_UINT && (bits == 8 || bits == 16)) &&
        !(format == SAMPLEFORMAT_IEEEFP && bits == 32))
        FAIL(PS_UNSUPPORTED, "samples of %d bits, %s, are not read; " CURE, bits,
             format == SAMPLEFORMAT_UINT ? "unsigned" : format == SAMPLEFORMAT_INT ? "signed"
             : format == SAMPLEFORMAT_IEEEFP ? "floating-point" : "of unknown or complex format");
    while (codecs[row].code != 0 && codecs[row].code != self->codec)
        row++;
    if (codecs[row].expansion == 0 || !TIFFIsCODECConfigured(self->codec))
        FAIL(PS_UNSUPPORTED, "compression %d (%s) is not read here; save it uncompressed or with "
             "Deflate", self->codec, codecs[row].name);
    *info = (ps_image_info){file->pages, samples, height, width, (ps_dtype)(bits / 8), 0};
    bytes = info->samples * info->height * info->width * (bits / 8);
    if (bytes > PS_LIMIT_IMAGE_BYTES)
        FAIL(PS_LIMIT, "%" PRId64 " bytes of pixels, the limit is %lld; cut it into fields", bytes,
             PS_LIMIT_IMAGE_BYTES);
    if (bytes > codecs[row].expansion * file->bytes + 1024)
        FAIL(PS_LIMIT, "claims %" PRId64 " bytes of pixels, more than %" PRId64 " times its size; "
             "save it again, uncompressed", bytes, codecs[row].expansion);
out:
    return ret;
}

/* Only a gray ramp says what the indices are as counts: it is applied; others are refused. */
static int
read_palette(ps_image *self)
{
    int ret = PS_OK, error, is_wide = 0;
    uint16_t *red, *green, *blue;

    if (self->info.dtype != PS_UINT8 || self->info.samples != 1)
        FAIL(PS_UNSUPPORTED, "a palette is read with 8 bits and one sample only; " CURE);
    if (!TIFFGetField(self->tiff, TIFFTAG_COLORMAP, &red, &green, &blue))
        FAIL(PS_BAD_IMAGE, "its palette is missing; " CURE);
    for (int i = 0; i < 256; i++)
        is_wide |= red[i] > 255; /* some writers leave the 16-bit entries at 8 bits */
    for (int i = 0; i < 256; i++) {
        error = abs(255 * (red[i] - red[0]) - i * (red[255] - red[0])) / 255; /* off the line */
        if (red[i] != green[i] || red[i] != blue[i] || red[0] == red[255] ||
            error > (is_wide ? 257 : 1))
            FAIL(PS_UNSUPPORTED, "its palette is not a linear gray scale; save it as 8-bit gray");
        self->map[i] = (unsigned char)(is_wide ? red[i] >> 8 : red[i]); /* 256 g and 257 g: g */
        self->is_mapped |= self->map[i] != i;
    }
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

static int
check_blocks(ps_image *self)
{
    const ps_image_info *info = &self->info;
    int ret = PS_OK;
    uint32_t block_w = 0, block_h = 0;
    int64_t bytes, blocks, pixel_bytes = self->per_pixel * (int64_t)info->dtype;

    self->is_tiled = TIFFIsTiled(self->tiff);
    TIFFGetField(self->tiff, TIFFTAG_TILEWIDTH, &block_w);
    TIFFGetFieldDefaulted(self->tiff, self->is_tiled ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP,
                          &block_h);
    self->block_w = self->is_tiled ? block_w : info->width;
    self->block_h = !self->is_tiled && block_h > info->height ? info->height : block_h;
    if (self->block_w == 0 || self->block_h == 0 || self->is_guessed)
        FAIL(PS_BAD_IMAGE, "the size of its strips or tiles is wrong; " COPY);
    blocks = ((info->width - 1) / self->block_w + 1) * ((info->height - 1) / self->block_h + 1);
    bytes = product(product(self->block_w, self->block_h), pixel_bytes);
    if (product(blocks, bytes) > 4 * info->width * info->height * pixel_bytes + LIMIT_PADDING)
        FAIL(PS_LIMIT, "its tiles are mostly outside the image; save it in strips");
    if ((self->is_tiled || self->per_pixel > 1) && bytes > LIMIT_ALLOCATION)
        FAIL(PS_LIMIT, "strips or tiles of %" PRId64 " bytes, the limit is %" PRId64 "; save it "
             "in smaller ones", bytes, LIMIT_ALLOCATION);
out:
    return ret;
}

int
ps_image_open(ps_image **self, const char *path, int64_t page)
{
    int ret = PS_OK;
    ps_pages file = {.fd = -1};
    ps_image *image = calloc(1, sizeof *image + strlen(path) + 1);

    *self = NULL;
    if (image == NULL)
        FAIL(PS_NO_MEMORY, "no memory to open it");
    strcpy(image->path, path);
    TRY(ps_pages_find(&file, path, page));
    TRY(attach(image, &file));
    TRY(check_size(image, &file));
    TRY(check_colour(image));
    TRY(check_blocks(image));
    *self = image;
    image = NULL;
out:
    if (file.fd >= 0)
        close(file.fd);
    ps_image_close(image);
    return ret == PS_OK ? ret : ps_fail(ret, "%.700s: %s", path, ps_error_detail());
}

const ps_image_info *
ps_image_about(const ps_image *self)
{
    return &self->info;
}

void
ps_image_close(ps_image *self)
{
    if (self != NULL && self->tiff != NULL)
        TIFFClose(self->tiff);
    free(self);
}

static int
read_block(ps_image *self, uint32_t block, int64_t bytes, unsigned char *pixels)
{
    const char *kind = self->is_tiled ? "tile" : "strip";
    int ret = PS_OK;
    int64_t got;

    self->complaint[0] = '\0';
    /* libtiff reads uncompressed strips whatever their stated length, and missing ones at 0 */
    if (TIFFGetStrileOffset(self->tiff, block) == 0 ||
        (self->codec == COMPRESSION_NONE &&
         TIFFGetStrileByteCount(self->tiff, block) < (uint64_t)bytes))
        FAIL(PS_BAD_IMAGE, "%s %" PRIu32 " is missing or too short; " COPY, kind, block);
    got = self->is_tiled ? TIFFReadEncodedTile(self->tiff, block, pixels, bytes)
                         : TIFFReadEncodedStrip(self->tiff, block, pixels, bytes);
    /* libjpeg fills up with gray what is missing, and only warns */
    if (got != bytes || (self->codec == COMPRESSION_JPEG && self->complaint[0]))
        FAIL(PS_BAD_IMAGE, "%s %" PRIu32 " is damaged (%s); " COPY, kind, block,
             self->complaint[0] ? self->complaint : "too short");
out:
    return ret;
}

/* Every stride-th value; called with constant sizes, so that each copy is one move. */
static inline void
pick(int64_t n, int64_t size, int64_t stride, const unsigned char *from, unsigned char *to)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * size, from + i * stride * size, (size_t)size);
}

/* The part of a block (block_h, block_w, per_pixel) inside the image -> its planes at `to`. */
static void
scatter(const ps_image *self, int64_t rows, int64_t columns, const unsigned char *from,
        unsigned char *to)
{
    const int64_t size = (int64_t)self->info.dtype, n = self->per_pixel;
    const int64_t row_bytes = self->info.width * size, plane = self->info.height * row_bytes;

    for (int64_t row = 0; row < rows; row++)
        for (int64_t s = 0; s < n; s++) {
            const unsigned char *source = from + (row * self->block_w * n + s) * size;
            unsigned char *target = to + s * plane + row * row_bytes;

            if (n == 1)
                memcpy(target, source, (size_t)(columns * size));
            else if (size == 1)
                pick(columns, 1, n, source, target);
            else if (size == 2)
                pick(columns, 2, n, source, target);
            else
                pick(columns, 4, n, source, target);
        }
}

/* Blocks, in the file's order -> planes (samples, h, w) of the file's own type. */
static int
read_blocks(ps_image *self, unsigned char *pixels)
{
    const ps_image_info *info = &self->info;
    const int64_t size = (int64_t)info->dtype, pixel_bytes = self->per_pixel * size;
    const int is_direct = !self->is_tiled && self->per_pixel == 1;
    int ret = PS_OK;
    uint32_t block = 0;
    unsigned char *spare = NULL, *to;
    int64_t bytes, columns, rows;

    if (!is_direct)
        TRY(ps_array(&spare, self->block_w * self->block_h, (size_t)pixel_bytes));
    for (int64_t s = 0; s < info->samples; s += self->per_pixel)
        for (int64_t y = 0; y < info->height; y += self->block_h)
            for (int64_t x = 0; x < info->width; x += self->block_w, block++) {
                rows = info->height - y < self->block_h ? info->height - y : self->block_h;
                columns = info->width - x < self->block_w ? info->width - x : self->block_w;
                bytes = (self->is_tiled ? self->block_h : rows) * self->block_w * pixel_bytes;
                to = pixels + ((s * info->height + y) * info->width + x) * size;
                TRY(read_block(self, block, bytes, is_direct ? to : spare));
                if (!is_direct)
                    scatter(self, rows, columns, spare, to);
            }
out:
    free(spare);
    return ret;
}

/* n values at the end of `pixels` -> n wider ones from its start.  Each chunk is set aside first:
 * what is written, up to wide * i, never passes what was read, up to (wide - own) * n + own * i. */
static void
widen(int64_t n, ps_dtype own, ps_dtype wide, void *pixels)
{
    const unsigned char *source = (unsigned char *)pixels + n * (int64_t)(wide - own);
    uint8_t chunk8[1024];
    uint16_t chunk16[1024];

    for (int64_t i = 0; i < n; i += 1024) {
        const int64_t count = n - i < 1024 ? n - i : 1024;

        memcpy(own == PS_UINT8 ? (void *)chunk8 : chunk16, source + i * own, (size_t)count * own);
        for (int64_t k = 0; k < count; k++)
            if (wide == PS_UINT16)
                ((uint16_t *)pixels)[i + k] = chunk8[k];
            else
                ((float *)pixels)[i + k] = own == PS_UINT8 ? chunk8[k] : chunk16[k];
    }
}

int
ps_image_read(ps_image *self, ps_dtype dtype, void *pixels)
{
    const ps_dtype own = self->info.dtype;
    const int64_t n = self->info.samples * self->info.height * self->info.width;
    int ret = PS_OK, not_finite = 0;
    unsigned char *native;

    if (dtype < own || (dtype != PS_UINT8 && dtype != PS_UINT16 && dtype != PS_FLOAT32))
        FAIL(PS_BAD_VALUE, "%d-bit pixels do not fit %d bits; ask for a wider type", 8 * (int)own,
             8 * (int)dtype);
    native = (unsigned char *)pixels + n * (int64_t)(dtype - own);
    TRY(read_blocks(self, native));
    for (int64_t i = 0; self->is_mapped && i < n; i++)
        native[i] = self->map[native[i]];
    if (dtype != own)
        widen(n, own, dtype, pixels);
    for (int64_t i = 0; own == PS_FLOAT32 && i < n; i++)
        not_finite += !isfinite(((const float *)pixels)[i]);
    if (not_finite != 0)
        FAIL(PS_BAD_IMAGE, "%d of its %" PRId64 " pixels are NaN or infinite; replace "
             "them by numbers", not_finite, n);
out:
    return ret == PS_OK ? ret : ps_fail(ret, "%.700s: %s", self->path, ps_error_detail());
}

const char *
ps_tiff_version(void)
{
    return TIFFGetVersion();
}
