/* SPDX-License-Identifier: BSD-3-Clause */
/* The strips and tiles of an open TIFF -> planes of its own depth.  A block that does not decode to
 * its full length is an error, and one of Deflate whose checksum is another. */
#include <inttypes.h>
#include <stdlib.h>
#include <tiffio.h>

#include "deflate.h"
#include "image.h"
#include "internal.h"

#define COPY "copy the file again from its source"

/* Which bytes of the file a block of Deflate is, and what they are to be once decoded. */
static int
check_deflate(ps_image *self, uint32_t block, int64_t bytes, const unsigned char *pixels)
{
    uint16_t order;

    TIFFGetFieldDefaulted(self->tiff, TIFFTAG_FILLORDER, &order);
    return ps_deflate_check(
        &(ps_deflated){.at = TIFFGetStrileOffset(self->tiff, block),
                       .bytes = TIFFGetStrileByteCount(self->tiff, block),
                       .is_mirrored = order == FILLORDER_LSB2MSB,
                       .predictor = self->file.predictor,
                       .is_swapped = TIFFIsByteSwapped(self->tiff),
                       .bits = self->bits,
                       .per_pixel = self->per_pixel,
                       .row_bytes = self->row_bytes,
                       .rows = bytes / self->row_bytes,
                       .block_rows = self->block_h,
                       .pixels = pixels},
        &self->file.file);
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
    if ((self->codec == COMPRESSION_ADOBE_DEFLATE || self->codec == COMPRESSION_DEFLATE) &&
        (ret = check_deflate(self, block, bytes, pixels)) != PS_OK)
        FAIL(ret, "%s %" PRIu32 " %s", kind, block, ps_error_detail());
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

    return ret == PS_OK ? ret : ps_image_fault(self, ret);
}

int
ps_image_read(ps_image *self, ps_dtype dtype, void *pixels)
{
    const int64_t n = self->info.samples * self->info.height * self->info.width;
    const int64_t plane = self->info.height * self->info.width, bytes = self->kind->bytes;
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
    for (int64_t i = 0; dtype == PS_FLOAT32 && i < self->info.samples; i++)
        TRY(ps_check_floats(plane, (float *)pixels + i * plane));
out:
    free(spare);
    return ret == PS_OK ? ret : ps_image_fault(self, ret);
}
