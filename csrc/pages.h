/* SPDX-License-Identifier: BSD-3-Clause */
/* The file under an image: see pages.c. */
#ifndef PHENOSCALE_PAGES_H
#define PHENOSCALE_PAGES_H

#include <stdint.h>

typedef struct {
    int fd; /* the caller's to close; -1 when there is none */
    int64_t bytes, pages;
    uint64_t offset;   /* of the directory of the page asked for */
    uint64_t predictor; /* of that page, 0 where there is none: libtiff hides it from some codecs */
    uint64_t planes;    /* that a MetaMorph stack has in its one page; 0 in other files */
} ps_pages;

int ps_pages_find(ps_pages *self, const char *path, int64_t page);

#endif
