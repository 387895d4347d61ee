/* SPDX-License-Identifier: BSD-3-Clause */
/* The file under an image: see pages.c. */
#ifndef PHENOSCALE_PAGES_H
#define PHENOSCALE_PAGES_H

#include "file.h"
#include "phenoscale.h"

typedef struct {
    ps_file file;    /* the caller's to close */
    int is_measured; /* see ps_pages_measure */
    int64_t pages;
    /* of the page asked for: */
    uint64_t predictor; /* 0 where there is none: libtiff hides it from some codecs */
    uint64_t colour;    /* its PhotometricInterpretation: libtiff changes that of a palette */
    uint64_t strips;    /* that it lists */
    uint64_t planes;    /* that a MetaMorph stack has in its one page; 0 in other files */
    struct {
        uint64_t offset;        /* of its directory */
        uint32_t width, height; /* once measured */
        int is_reduced;         /* a smaller copy, or a mask, of another */
    } page[PS_LIMIT_PAGES];
} ps_pages;

/* Into a *self that is all zero. */
int ps_pages_find(ps_pages *self, const char *path, int64_t page);
/* Look at every page, once, for those that are reduced; the file is still open. */
void ps_pages_measure(ps_pages *self);

/* Uncompressed strips, added in their order: where they lie, and whether a stated length is short
 * of their rows. */
typedef struct {
    uint64_t n, first, end;
    int is_wrong, is_mixed; /* mixed: they do not follow each other */
} ps_strips;

void ps_strips_add(ps_strips *self, uint64_t at, uint64_t stated, int64_t bytes);
/* Wrong lengths do not matter where strips follow each other with no directory among them. */
int ps_strips_check(const ps_strips *self, const ps_pages *file);

#endif
