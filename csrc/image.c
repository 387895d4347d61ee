/* SPDX-License-Identifier: BSD-3-Clause */
/* TIFF files, opened: the first stage of the flow.  A file is taken for hostile: the list of pages
 * is walked and every size is checked here before blocks.c has libtiff decode a byte. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "codecs.h"
#include "image.h"
#include "internal.h"

#define LIMIT_ALLOCATION ((int64_t)512 << 20) /* of libtiff, and of a block beside the image */
#define LIMIT_PADDING ((int64_t)64 << 20)     /* of tiles over 4 times the image */
#define COPY "copy the file again from its source"
#define CURE "save it as 8- or 16-bit gray or RGB"

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

/* ---- the file as libtiff sees it ------------------------------------------------------------ */

static tmsize_t
on_read(void *image, void *bytes, tmsize_t n)
{
    ps_file *file = &((ps_image *)image)->file.file;
    tmsize_t got = ps_file_read(file, file->at, n, bytes);

    file->at += got;
    return got;
}

static tmsize_t
on_write(void *image, void *bytes, tmsize_t n)
{
    (void)image, (void)bytes, (void)n;
    return -1;
}

static toff_t
on_seek(void *image, toff_t offset, int from)
{
    ps_file *file = &((ps_image *)image)->file.file;
    int64_t start = from == SEEK_SET ? 0 : from == SEEK_CUR ? file->at : file->bytes, to;

    if (__builtin_add_overflow(start, (int64_t)offset, &to) || to < 0)
        return (toff_t)-1;
    file->at = to;
    return (toff_t)to;
}

static toff_t
on_size(void *image)
{
    return (toff_t)((ps_image *)image)->file.file.bytes;
}

static int
on_close(void *image)
{
    (void)image; /* ps_image_close does */
    return 0;
}

/* Hand the file to libtiff, at its page. */
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
    self->tiff = TIFFClientOpenExt("file", "rmch", self, on_read, on_write, on_seek, on_close,
                                   on_size, NULL, NULL, options);
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
    TRY(ps_codec_check(codec, info, bits, file->file.bytes));
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
        FAIL(PS_BAD_IMAGE, "its palette is missing, or too short; " CURE);
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
    if (self->file.colour == PHOTOMETRIC_PALETTE) /* gray to libtiff where the palette is missing */
        colour = PHOTOMETRIC_PALETTE;
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
        FAIL(PS_NO_MEMORY, "%.700s: no memory to open it", path);
    strcpy(image->path, path);
    TRY(ps_pages_find(&image->file, image->path, page));
    TRY(attach(image, page));
    TRY(check_size(image));
    TRY(check_colour(image));
    TRY(check_blocks(image));
    *self = image;
    image = NULL;
out:
    if (ret != PS_OK && image != NULL)
        ret = ps_image_fault(image, ret);
    ps_image_close(image);
    return ret;
}

int
ps_image_fault(const ps_image *self, int status)
{
    status = ps_file_blame(&self->file.file, status);
    return ps_fail(status, "%.700s: %s", self->path, ps_error_detail());
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
    if (self->file.file.fault != 0 || self->file.file.is_cut)
        return ps_image_fault(self, PS_IO);
    return page >= 0 && page < self->file.pages && self->file.page[page].is_reduced;
}

void
ps_image_close(ps_image *self)
{
    if (self != NULL && self->tiff != NULL)
        TIFFClose(self->tiff);
    if (self != NULL)
        ps_file_close(&self->file.file);
    free(self);
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
