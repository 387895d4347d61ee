/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressions of TIFF files, and how much a byte of each may stand for. */
#include "codecs.h"

#include <inttypes.h>
#include <tiff.h>

#include "internal.h"

static const ps_codec codecs[] = {
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

const ps_codec *
ps_codec_find(uint16_t code)
{
    int row = 0;

    while (codecs[row].code != 0 && codecs[row].code != code)
        row++;
    return &codecs[row];
}

int
ps_codec_check(const ps_codec *self, const ps_image_info *info, int bits, int64_t bytes)
{
    const int64_t samples = info->samples * info->height * info->width;
    const int64_t decoded = samples * info->native_bytes, packed = samples / 8 * bits;
    int ret = PS_OK;

    if (decoded > PS_LIMIT_IMAGE_BYTES)
        FAIL(PS_LIMIT, "%" PRId64 " bytes of pixels, the limit is %lld; cut it into fields",
             decoded, PS_LIMIT_IMAGE_BYTES);
    if (packed > PS_LIMIT_SMALL && packed > self->expansion * bytes + 1024)
        FAIL(PS_LIMIT, "claims %" PRId64 " bytes of pixels, more than %" PRId64 " times its size; "
             "save it again, uncompressed", packed, self->expansion);
out:
    return ret;
}
