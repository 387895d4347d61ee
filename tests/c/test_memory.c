/* SPDX-License-Identifier: BSD-3-Clause */
/* Every allocation of the library fails once: each call then says that memory lacks, loses none,
 * and works the next time.  Linked with --wrap for the functions below, so that libtiff's and
 * oneDNN's own allocations go on. */
#include "check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tiny_tiff.h"

static atomic_long calls, fail_at; /* 0: none fails */

static int
is_to_fail(void)
{
    return atomic_fetch_add(&calls, 1) + 1 == atomic_load(&fail_at);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);

void *
__wrap_malloc(size_t size)
{
    return is_to_fail() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return is_to_fail() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return is_to_fail() ? NULL : __real_realloc(old, size);
}

int
__wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return is_to_fail() ? 12 : __real_posix_memalign(block, alignment, size); /* ENOMEM */
}

/* ---- what is done --------------------------------------------------------------------------- */

static char path[64];
static image_file file;
static const char *const description = "field: input channels=1 height=19 width=37 pad=4\n"
                                       "p: pyramid levels=1\n"
                                       "t: tower from=p level=1 filters=5 window=2\n"
                                       "c: conv from=field filters=3 kernel=3 relu=1\n"
                                       "q: pool window=4\n"
                                       "m: merge from=t,q\n"
                                       "d: dense units=6\n"
                                       "z: dense units=3 rectify=1\n";

static int
read_image(void)
{
    static float pixels[3 * H * W];
    ps_image *image = NULL;
    int status = ps_image_open(&image, path, 0);

    if (status == PS_OK)
        status = ps_image_read(image, PS_FLOAT32, pixels);
    ps_image_close(image);
    return status;
}

static int
load_fields(void)
{
    const int64_t order[] = {0, 1, 0, 1};
    const char *const files[] = {path};
    const ps_plane planes[] = {{0, 0, 0}, {0, 1, 0}, {0, 0, 0}};
    const int64_t ends[] = {2, 3};
    const ps_loader_spec spec = {.n_fields = 2, .c = 1, .h = H, .w = W, .dtype = PS_UINT16,
                                 .n_files = 1, .files = files, .planes = planes, .ends = ends,
                                 .z = "mean", .bin = 2, .n_slots = 2, .n_workers = 1};
    ps_loader *loader = NULL;
    int status = ps_loader_init(&loader, &spec);

    if (status == PS_OK)
        status = ps_loader_start(loader, order, NULL, 4, 0, 1, 2);
    for (int i = 0; i < 4 && status == PS_OK; i++) {
        const void *pixels;
        do
            status = ps_loader_next(loader, 0.05, &pixels);
        while (status == PS_AGAIN);
        if (status == PS_OK)
            status = ps_loader_release(loader, 1);
    }
    ps_loader_free(loader);
    return status;
}

static int
train_step(void)
{
    static uint8_t pixels[H * W];
    const float one = 0.01f, zero = 0;
    const ps_field field = {.c = 1, .h = H, .w = W, .dtype = PS_UINT8, .pixels = pixels,
                            .scale = &one, .offset = &zero};
    const ps_field fields[] = {field, field};
    const ps_net_plan plan = {.threads = 2, .is_training = 1, .images = 2, .batch = 2};
    const ps_recipe recipe = {.rate = 0.01, .momentum = 0.9, .second = 0.999, .epsilon = 1e-8,
                              .scale = 1};
    const int64_t labels[] = {0, 2};
    const double weights[] = {0.5, 0.5};
    float logits[6], embeddings[12];
    ps_net *net = NULL;
    ps_optimizer *optimizer = NULL;
    double losses[2], norm;
    int status = ps_net_init(&net, description, &plan);

    if (status == PS_OK) {
        ps_net_initialise(net, 1);
        status = ps_optimizer_init(&optimizer, "adam", net);
    }
    if (status == PS_OK)
        status = ps_net_begin(net, 0);
    if (status == PS_OK)
        status = ps_net_forward(net, fields, 2);
    if (status == PS_OK)
        status = ps_net_backward(net, "softmax", labels, weights, 0, losses, logits);
    if (status == PS_OK)
        status = ps_net_gradient(net, &norm);
    if (status == PS_OK)
        status = ps_optimizer_update(optimizer, net, &recipe);
    if (status == PS_OK)
        status = ps_net_predict(net, fields, 2, logits, embeddings);
    ps_optimizer_free(optimizer);
    ps_net_free(net);
    return status;
}

static int
measure_plane(void)
{
    static uint16_t plane[H * W], out[H * W];
    ps_measures found;
    int status = ps_measure(PS_UINT16, H, W, plane, &found);

    return status == PS_OK ? ps_z("mean", PS_UINT16, 1, H * W, plane, out) : status;
}

/* ---- each allocation in turn ----------------------------------------------------------------- */

static void
walk(const char *what, int (*scenario)(void))
{
    long n = 1;

    CHECK(scenario() == PS_OK);
    for (;; n++) {
        atomic_store(&calls, 0);
        atomic_store(&fail_at, n);
        int status = scenario();
        atomic_store(&fail_at, 0);
        if (atomic_load(&calls) < n) { /* the n-th was never asked for */
            CHECK(status == PS_OK);
            break;
        }
        CHECK(status == PS_NO_MEMORY && strstr(ps_error_detail(), "memory"));
        CHECK(scenario() == PS_OK);
    }
    printf("%s: %ld allocations\n", what, n - 1);
    CHECK(n > 1);
}

int
main(void)
{
    static const struct {
        const char *what;
        int (*scenario)(void);
    } rows[] = {{"read", read_image}, {"load", load_fields}, {"step", train_step},
                {"measure", measure_plane}};
    spec of = {.samples = 1, .bytes = 2, .tiled = 1, .codec = PACKBITS, .pages = 2,
               .photometric = 1};

    snprintf(path, sizeof path, "memory-%d.tif", (int)getpid());
    make(&file, &of);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(file.bytes, 1, file.n, out) != file.n || fclose(out) != 0)
        return 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        walk(rows[i].what, rows[i].scenario);
    unlink(path);
    return failures > 0;
}
