/* SPDX-License-Identifier: BSD-3-Clause */
/* A TIFF as a file: known by its first bytes, its pages counted.  Done here because libtiff's own
 * walk over the list of pages goes on for a million of them. */
#include "pages.h"

#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define COPY "copy the file again from its source"
#define LIMIT_ENTRIES 4096 /* of a directory, as libtiff's */
enum { KIND = 254, OLD_KIND, WIDTH, HEIGHT, COLOUR = 262, STRIPS = 273, PREDICTOR = 317 };
enum { METAMORPH_PLANES = 33629 };
enum { SHORT = 3, LONG8 = 16 }; /* types of values */

/* Where the numbers of a file are: classic and BigTIFF differ in their sizes only. */
typedef struct {
    char magic[5];
    int is_big_endian, first_at, count_bytes, entry_bytes, offset_bytes;
} layout;

static const layout layouts[] = {{"II*\0", 0, 4, 2, 12, 4},
                                 {"MM\0*", 1, 4, 2, 12, 4},
                                 {"II+\0", 0, 8, 8, 20, 8},
                                 {"MM\0+", 1, 8, 8, 20, 8}};

static const struct {
    const char *magic, *name;
} strangers[] = {{"\x89PNG", "a PNG file"},
                 {"\xff\xd8\xff", "a JPEG file"},
                 {"GIF8", "a GIF file"},
                 {"\x89HDF", "an HDF5 file"},
                 {"\x1f\x8b", "compressed with gzip"},
                 {"PK\x03\x04", "a zip archive"},
                 {"", "of an unknown kind"}};

/* An unsigned number of n bytes; UINT64_MAX, which is no legal value, past the end of the file. */
static uint64_t
number_at(ps_pages *self, int64_t at, int n, int is_big_endian)
{
    unsigned char bytes[8];
    uint64_t number = 0;

    if (ps_file_read(&self->file, at, n, bytes) != n)
        return UINT64_MAX;
    for (int i = 0; i < n; i++)
        number = number << 8 | bytes[is_big_endian ? i : n - 1 - i];
    return number;
}

static int
find_layout(ps_pages *self, const layout **found)
{
    char magic[4] = "";
    int ret = PS_OK, row = 0;

    *found = NULL;
    ps_file_read(&self->file, 0, sizeof magic, magic);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (memcmp(magic, layouts[i].magic, sizeof magic) == 0)
            *found = &layouts[i];
    while (memcmp(magic, strangers[row].magic, strlen(strangers[row].magic)) != 0)
        row++;
    if (*found == NULL)
        FAIL(PS_BAD_IMAGE, "is %s, not a TIFF file; convert it to TIFF", strangers[row].name);
out:
    return ret;
}

/* The first value of an entry, of any whole type, that lies in the entry itself. */
static uint64_t
value_of(ps_pages *self, const layout *in, int64_t entry)
{
    const int n = in->offset_bytes;
    uint64_t kind = number_at(self, entry + 2, 2, in->is_big_endian);

    return number_at(self, entry + 4 + n, kind == SHORT ? 2 : kind == LONG8 && n == 8 ? 8 : 4,
                     in->is_big_endian);
}

/* What libtiff does not tell of the directory whose entries begin at `at`. */
static void
find_tags(ps_pages *self, const layout *in, int64_t at, uint64_t entries)
{
    const int n = in->offset_bytes;

    for (uint64_t i = 0; i < entries; i++, at += in->entry_bytes) {
        uint64_t tag = number_at(self, at, 2, in->is_big_endian);
        if (tag == PREDICTOR)
            self->predictor = number_at(self, at + 4 + n, 2, in->is_big_endian);
        else if (tag == COLOUR)
            self->colour = value_of(self, in, at);
        else if (tag == STRIPS)
            self->strips = number_at(self, at + 4, n, in->is_big_endian);
        else if (tag == METAMORPH_PLANES) /* one value a plane */
            self->planes = number_at(self, at + 4, n, in->is_big_endian);
    }
}

/* The kind and the size of a page: tags lie in order, these among the first. */
static void
measure_page(ps_pages *self, const layout *in, int64_t number)
{
    int64_t at = (int64_t)self->page[number].offset + in->count_bytes;
    uint64_t tag, value;

    for (int entry = 0; entry <= HEIGHT - KIND; entry++, at += in->entry_bytes) {
        tag = number_at(self, at, 2, in->is_big_endian);
        value = value_of(self, in, at);
        if (tag == KIND)
            self->page[number].is_reduced |= (value & 5) != 0; /* a reduced copy, or a mask */
        else if (tag == OLD_KIND)
            self->page[number].is_reduced |= value == 2;
        else if (tag == WIDTH || tag == HEIGHT)
            *(tag == WIDTH ? &self->page[number].width : &self->page[number].height) =
                value > UINT32_MAX ? 0 : (uint32_t)value;
        else if (tag > HEIGHT)
            break;
    }
}

/* Fills *self with what is known, the descriptor even when it fails. */
int
ps_pages_find(ps_pages *self, const char *path, int64_t page)
{
    const layout *in = NULL;
    int ret = PS_OK;
    int64_t at, mark = 0;
    uint64_t entries, next;

    TRY(ps_file_open(&self->file, path));
    TRY(find_layout(self, &in));
    next = number_at(self, in->first_at, in->offset_bytes, in->is_big_endian);
    if (next == 0)
        FAIL(PS_BAD_IMAGE, "holds no image; write it again");
    for (; next != 0; self->pages++) {
        if (self->pages == PS_LIMIT_PAGES)
            FAIL(PS_LIMIT, "more than %d pages; split it into several files", PS_LIMIT_PAGES);
        if (next >= (uint64_t)self->file.bytes)
            FAIL(PS_BAD_IMAGE, "is cut off before page %" PRId64 "; " COPY, self->pages);
        at = (int64_t)next;
        self->page[self->pages].offset = next;
        if (at == mark)
            FAIL(PS_BAD_IMAGE, "its list of pages runs in a circle; write it again");
        if ((self->pages & (self->pages - 1)) == 0) /* Brent: a circle comes back to a mark */
            mark = at;                              /* set at 0, 1, 2, 4, ... */
        entries = number_at(self, at, in->count_bytes, in->is_big_endian);
        if (entries == 0 || entries > LIMIT_ENTRIES ||
            entries > (uint64_t)((self->file.bytes - at) / in->entry_bytes))
            FAIL(PS_BAD_IMAGE, "the directory of page %" PRId64 " is damaged; " COPY, self->pages);
        if (self->pages == page)
            find_tags(self, in, at + in->count_bytes, entries);
        at += in->count_bytes + (int64_t)entries * in->entry_bytes;
        next = number_at(self, at, in->offset_bytes, in->is_big_endian);
        if (next == UINT64_MAX)
            next = 0; /* the file ends with its last entry: readers take it for the last page */
    }
    if (self->file.fault != 0 || self->file.is_cut) /* and what was not read was guessed */
        FAIL(PS_IO, "cannot be read");
    if (page < 0 || page >= self->pages)
        FAIL(PS_BAD_VALUE, "has %" PRId64 " pages, counted from 0: there is no page %" PRId64,
             self->pages, page);
out:
    return ret;
}

/* Thumbnails and the smaller pages of a pyramid: by what they say, and those of at most half the
 * sides of the largest.  Apart from ps_pages_find, as who reads one page need not ask. */
void
ps_pages_measure(ps_pages *self)
{
    const layout *in = NULL;
    int64_t full = 0, largest = -1;
    uint64_t pixels, most = 0;

    if (self->is_measured || self->pages < 2 || find_layout(self, &in) != PS_OK)
        return;
    self->is_measured = 1;
    for (int64_t i = 0; i < self->pages; i++) {
        measure_page(self, in, i);
        full += !self->page[i].is_reduced;
    }
    for (int64_t i = 0; i < self->pages; i++) {
        self->page[i].is_reduced &= full > 0; /* all that there is */
        pixels = (uint64_t)self->page[i].width * self->page[i].height;
        if (!self->page[i].is_reduced && pixels > most) {
            most = pixels;
            largest = i;
        }
    }
    for (int64_t i = 0; largest >= 0 && i < self->pages; i++)
        self->page[i].is_reduced |=
            self->page[i].width <= (self->page[largest].width - 1) / 2 + 1 &&
            self->page[i].height <= (self->page[largest].height - 1) / 2 + 1 && i != largest;
}

void
ps_strips_add(ps_strips *self, uint64_t at, uint64_t stated, int64_t bytes)
{
    self->n++;
    self->is_wrong |= stated < (uint64_t)bytes;
    self->is_mixed |= at == 0 || at < self->end || at > UINT64_MAX - (uint64_t)bytes;
    self->first = self->end == 0 ? at : self->first;
    self->end = at + (uint64_t)bytes;
}

int
ps_strips_check(const ps_strips *self, const ps_pages *file)
{
    int ret = PS_OK, is_met = 0;

    for (int64_t i = 0; i < file->pages; i++)
        is_met |= file->page[i].offset >= self->first && file->page[i].offset < self->end;
    if (self->is_wrong && (self->is_mixed || is_met || self->n != file->strips ||
                           self->end > (uint64_t)file->file.bytes))
        FAIL(PS_BAD_IMAGE, "the size of its strips is wrong, and its rows do not all lie where "
             "they begin; " COPY);
out:
    return ret;
}
