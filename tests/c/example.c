/* SPDX-License-Identifier: BSD-3-Clause */
/* The C library in one page: a field from a TIFF, a network from its description, the field through
 * it, the probabilities of the classes. */
#include "phenoscale.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLASSES = 3 };

/* The first page of a file as a field; its pixels are then the caller's to free. */
static int
read_field(const char *path, ps_field *field, void **pixels)
{
    ps_image *image = NULL;
    int status = ps_image_open(&image, path, 0);

    if (status == PS_OK) {
        const ps_image_info *about = ps_image_about(image);
        int64_t bytes = about->samples * about->height * about->width * (int64_t)about->dtype;
        *field = (ps_field){.c = about->samples, .h = about->height, .w = about->width,
                            .dtype = about->dtype};
        field->pixels = *pixels = malloc((size_t)bytes);
        status = *pixels ? ps_image_read(image, about->dtype, *pixels) : PS_NO_MEMORY;
    }
    ps_image_close(image); /* NULL is accepted, here as in every _free */
    return status;
}

int
main(int argc, char **argv)
{
    const float scale = 1.0f / 4096, offset = -0.5f; /* counts * scale + offset: what is seen */
    const ps_net_plan plan = {.threads = 2};         /* for predictions, not for training */
    float logits[CLASSES], probabilities[CLASSES];
    char text[256];
    ps_net *net = NULL;
    ps_field field;
    void *pixels = NULL;
    int status = read_field(argc > 1 ? argv[1] : "field.tif", &field, &pixels);

    if (status == PS_OK) {
        snprintf(text, sizeof text, "field: input channels=1 height=%d width=%d\n"
                 "scale0: tower filters=8 window=8\n"
                 "mean: gap\n"
                 "classes: dense units=%d\n", (int)field.h, (int)field.w, CLASSES);
        status = ps_net_init(&net, text, &plan);
    }
    if (status == PS_OK) {
        ps_net_initialise(net, 1); /* or copy trained weights to ps_net_parameters(net) */
        field.scale = &scale;      /* one a channel; borrowed, as the pixels are */
        field.offset = &offset;
        status = ps_net_predict(net, &field, 1, logits, NULL);
    }
    if (status == PS_OK) {
        ps_softmax(1, CLASSES, logits, probabilities);
        for (int k = 0; k < CLASSES; k++)
            printf("class %d: %.6f\n", k, (double)probabilities[k]);
    } else {
        fprintf(stderr, "%s: %s\n", ps_error_name(status), ps_error_detail());
    }
    ps_net_free(net);
    free(pixels);
    return status != PS_OK;
}
