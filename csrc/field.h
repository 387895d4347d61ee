/* SPDX-License-Identifier: BSD-3-Clause */
/* From planes in files to a field: what reduce.c, field.c and loader.c share. */
#ifndef PHENOSCALE_FIELD_H
#define PHENOSCALE_FIELD_H

#include "phenoscale.h"

/* ---- z-stacks, plane by plane (reduce.c) ----------------------------------------------------- */

int ps_z_find(const char *name, int *row);
int ps_z_wants_sums(int row); /* whether the two below need room for a sum a pixel */
/* Plane `number` (0, 1, ...) of n pixels into out. */
void ps_z_add(int row, ps_dtype dtype, int64_t n, int64_t number, const void *plane, void *out,
              double *sums);
void ps_z_end(int row, ps_dtype dtype, int64_t n, int64_t planes, const double *sums, void *out);

/* ---- one field from its files (field.c), for a thread of the loader ------------------------- */

typedef struct ps_field_reader ps_field_reader;

int ps_field_reader_init(ps_field_reader **self, const ps_loader_spec *spec); /* borrowed */
int ps_field_reader_read(ps_field_reader *self, int64_t field, char *pixels); /* as the loader's */
void ps_field_reader_free(ps_field_reader *self);

#endif
