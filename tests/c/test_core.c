/* SPDX-License-Identifier: BSD-3-Clause */
/* The C library without Python, through its public header alone, for sanitizers and valgrind:
 * errors, networks, losses, optimizers, augmentation.  Prints a line a failure; status 1 if there
 * was any. */
#include "check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { C = 2, H = 11, W = 13, IMAGES = 5, CLASSES = 3 };

static const char *const small =
    "field: input channels=2 height=11 width=13 pad=4\n"
    "a: conv filters=3 kernel=3 relu=1\n"
    "b: pool window=4\n"
    "c: pool window=4 from=field\n"
    "p: pyramid levels=1 from=field\n"
    "t: tower from=p level=1 filters=5 window=2\n"
    "m: merge from=b,c,t\n"
    "d: dense units=6 relu=1\n"
    "z: dense units=3\n";
static const int64_t labels[IMAGES] = {0, 2, 1, 1, 0};
static const double weights[IMAGES] = {0.2, 0.2, 0.2, 0.2, 0.2};
static const float scale[C] = {1.0f / 64, 1.0f / 100}, offset[C] = {-2, -1};


/* ---- errors and tables ---------------------------------------------------------------------- */

static void *
fail_elsewhere(void *detail)
{
    ps_net *net = NULL;
    const ps_net_plan plan = {.threads = 0};

    ps_net_init(&net, small, &plan);
    strncpy(detail, ps_error_detail(), 100);
    return NULL;
}

static void
test_errors(void)
{
    ps_image *image = NULL;
    pthread_t thread;
    char before[1024], there[101] = "";

    CHECK(strcmp(ps_error_name(PS_OK), "PS_OK") == 0);
    CHECK(strcmp(ps_error_name(PS_AGAIN), "PS_AGAIN") == 0);
    for (int status = -1000; status < 1000; status++)
        CHECK(ps_error_name(status) != NULL);
    CHECK(ps_image_open(&image, "/no such folder/a.tif", 0) == PS_IO);
    CHECK(image == NULL && strstr(ps_error_detail(), "a.tif"));
    strcpy(before, ps_error_detail());
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, there) == 0);
    pthread_join(thread, NULL);
    CHECK(strstr(there, "threads=0") != NULL);
    CHECK(strcmp(before, ps_error_detail()) == 0);
}

static void
test_tables(void)
{
    const char *(*const tables[])(int) = {ps_layer_name, ps_loss_name, ps_optimizer_name,
                                          ps_augment_name};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        int rows = 0;
        while (tables[i](rows))
            rows++;
        CHECK(rows > 0 && rows < 100);
        CHECK(!tables[i](-1) && !tables[i](rows + 1) && !tables[i](1 << 30));
    }
    CHECK(strlen(ps_isa_name()) > 0);
}

/* ---- the network ---------------------------------------------------------------------------- */

typedef struct {
    uint8_t pixels[IMAGES][C * H * W];
    ps_field fields[IMAGES];
} batch;

static void
fill(batch *self)
{
    for (int i = 0; i < IMAGES; i++) {
        for (int k = 0; k < C * H * W; k++)
            self->pixels[i][k] = (uint8_t)((i * 71 + k * k * 29 + k * 13) % 251);
        self->fields[i] = (ps_field){.c = C, .h = H, .w = W, .dtype = PS_UINT8,
                                     .pixels = self->pixels[i], .scale = scale,
                                     .offset = offset};
    }
}

static ps_net *
training_net(int threads, int64_t images)
{
    const ps_net_plan plan = {.threads = threads, .is_training = 1, .images = images,
                              .batch = IMAGES};
    ps_net *net = NULL;

    CHECK(ps_net_init(&net, small, &plan) == PS_OK);
    ps_net_initialise(net, 3);
    return net;
}

/* A whole step, `part` images at a time: the loss; the norm of the gradient in *norm. */
static double
step(ps_net *net, const batch *data, int64_t part, double *norm)
{
    double loss = 0, losses[IMAGES];
    float logits[IMAGES * CLASSES];

    CHECK(ps_net_begin(net, 0) == PS_OK);
    for (int64_t at = 0; at < IMAGES; at += part) {
        int64_t n = IMAGES - at < part ? IMAGES - at : part;
        CHECK(ps_net_forward(net, data->fields + at, n) == PS_OK);
        CHECK(ps_net_backward(net, "softmax", labels + at, weights + at, 0.1, losses, logits) ==
              PS_OK);
        for (int64_t i = 0; i < n; i++)
            loss += losses[i];
    }
    CHECK(ps_net_gradient(net, norm) == PS_OK);
    return loss;
}

static void
test_shapes(void)
{
    ps_net *net = training_net(1, 1);
    int64_t n, end = 0;
    const ps_slice *slices = ps_net_slices(net, &n);

    for (int64_t i = 0; i < n; i++) {
        int64_t count = 1;
        for (int k = 0; k < slices[i].n_dims; k++)
            count *= slices[i].shape[k];
        CHECK(slices[i].offset == end && slices[i].count == count);
        CHECK(slices[i].is_bias == (strstr(slices[i].name, ".bias") != NULL));
        end += count;
    }
    CHECK(n == 12 && end == ps_net_count(net));
    CHECK(ps_net_classes(net) == CLASSES && ps_net_embedding(net) == 6);
    CHECK(ps_net_memory(net) > 4 * end);
    ps_net_free(net);
}

/* Predictions, whatever the number of threads and rows, are the training forward's logits. */
static void
test_predict(const batch *data)
{
    float expected[IMAGES * CLASSES], logits[IMAGES * CLASSES], embeddings[IMAGES * 6];
    double losses[IMAGES];
    ps_net *net = training_net(2, IMAGES);

    CHECK(ps_net_begin(net, 0) == PS_OK && ps_net_forward(net, data->fields, IMAGES) == PS_OK);
    CHECK(ps_net_pending(net) == IMAGES);
    CHECK(ps_net_backward(net, "softmax", labels, weights, 0, losses, expected) == PS_OK);
    for (int threads = 1; threads < 5; threads++) {
        const ps_net_plan plan = {.threads = threads};
        ps_net *plain = NULL;
        CHECK(ps_net_init(&plain, small, &plan) == PS_OK);
        CHECK(ps_net_gradients(plain, NULL) == PS_BAD_VALUE);
        memcpy(ps_net_parameters(plain), ps_net_parameters(net),
               (size_t)ps_net_count(net) * sizeof(float));
        CHECK(ps_net_predict(plain, data->fields, IMAGES, logits, embeddings) == PS_OK);
        CHECK(memcmp(logits, expected, sizeof logits) == 0);
        CHECK(ps_net_predict(plain, data->fields + 3, 1, logits, NULL) == PS_OK);
        CHECK(memcmp(logits, expected + 3 * CLASSES, CLASSES * sizeof *logits) == 0);
        ps_net_free(plain);
    }
    ps_net_free(net);
}

/* The gradient is the slope of the loss, and its norm is its norm. */
static void
test_gradient(const batch *data)
{
    ps_net *net = training_net(2, IMAGES);
    float *parameters = ps_net_parameters(net);
    int64_t n = ps_net_count(net);
    float *gradients = malloc((size_t)n * sizeof *gradients);
    double norm, unused, square = 0, largest = 0;

    step(net, data, IMAGES, &norm);
    CHECK(ps_net_gradients(net, gradients) == PS_OK);
    for (int64_t i = 0; i < n; i++) {
        square += (double)gradients[i] * gradients[i];
        largest = fmax(largest, fabs(gradients[i]));
    }
    CHECK(fabs(norm - sqrt(square)) < 1e-5 * norm);
    for (int64_t i = 0; i < n; i += 7) {
        float kept = parameters[i];
        parameters[i] = kept + 1e-3f;
        double above = step(net, data, IMAGES, &unused);
        parameters[i] = kept - 1e-3f;
        double slope = (above - step(net, data, IMAGES, &unused)) / 2e-3;
        parameters[i] = kept;
        CHECK(fabs(slope - gradients[i]) < 0.02 * largest);
    }
    free(gradients);
    ps_net_free(net);
}

/* Every optimizer lowers the loss, to the same bits for any threads and parts of the batch. */
static void
test_training(const batch *data)
{
    const ps_recipe recipe = {.rate = 0.01, .momentum = 0.9, .second = 0.999, .epsilon = 1e-8,
                              .decay = 1e-4, .scale = 1};

    for (int row = 0; ps_optimizer_name(row); row++) {
        float *first = NULL;
        for (int threads = 1; threads <= 4; threads++) {
            ps_net *net = training_net(threads, threads);
            ps_optimizer *optimizer = NULL;
            double norm, before = 0, after = 0;
            size_t size = (size_t)ps_net_count(net) * sizeof(float);
            CHECK(ps_optimizer_init(&optimizer, ps_optimizer_name(row), net) == PS_OK);
            for (int i = 0; i < 30; i++) {
                after = step(net, data, threads, &norm);
                before = i == 0 ? after : before;
                CHECK(ps_optimizer_update(optimizer, net, &recipe) == PS_OK);
            }
            CHECK(after < 0.8 * before && *ps_optimizer_steps(optimizer) == 30);
            for (int k = 0; k < ps_optimizer_states(optimizer); k++)
                CHECK(isfinite(ps_optimizer_state(optimizer, k)[0]));
            if (!first)
                first = memcpy(malloc(size), ps_net_parameters(net), size);
            CHECK(memcmp(first, ps_net_parameters(net), size) == 0);
            ps_optimizer_free(optimizer);
            ps_net_free(net);
        }
        free(first);
    }
}

static int
stop_at_zero(void *left)
{
    return (*(int *)left)-- <= 0;
}

/* Wherever a step is stopped, the next one is whole and has the same bits. */
static void
test_stopping(const batch *data)
{
    int left = 1 << 30, stopped = 0;
    const ps_net_plan plan = {.threads = 2, .is_training = 1, .images = IMAGES, .batch = IMAGES,
                              .poll = stop_at_zero, .context = &left};
    ps_net *net = NULL;
    double norm, expected, losses[IMAGES];

    CHECK(ps_net_init(&net, small, &plan) == PS_OK);
    ps_net_initialise(net, 3);
    step(net, data, IMAGES, &expected);
    for (int polls = 0; polls < 40; polls++) {
        left = polls;
        int status = ps_net_begin(net, 0);
        status = status ? status : ps_net_forward(net, data->fields, IMAGES);
        if (status == PS_OK)
            status = ps_net_backward(net, "softmax", labels, weights, 0.1, losses, NULL);
        CHECK(status == PS_OK || status == PS_STOPPED);
        stopped += status == PS_STOPPED;
        left = 1 << 30;
        step(net, data, IMAGES, &norm);
        CHECK(norm == expected);
    }
    CHECK(stopped > 0);
    ps_net_free(net);
}

static void
test_misuse(const batch *data)
{
    static const char *const wrong[] = {
        "", "x", "a: dense units=2", "f: input channels=1 height=4 width=4",
        "f: input channels=1 height=4 width=4\na: pool window=9\nz: dense units=2",
        "f: input channels=1 height=4 width=4\nf: gap\nz: dense units=2",
        "f: input channels=64 height=13000 width=13000\na: conv filters=4096 kernel=15\n"
        "z: dense units=65536"};
    const ps_net_plan plan = {.threads = 1};
    ps_net *net = NULL, *trained = training_net(1, 2);
    ps_optimizer *optimizer = NULL;
    ps_field narrow = data->fields[0];
    double number = 0;
    const int64_t outside[2] = {3, -1};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(ps_net_init(&net, wrong[i], &plan) != PS_OK && !net);
    CHECK(ps_net_backward(trained, "softmax", labels, weights, 0, &number, NULL) == PS_BAD_VALUE);
    CHECK(ps_net_gradient(trained, &number) == PS_BAD_VALUE);
    CHECK(ps_net_begin(trained, 0) == PS_OK);
    CHECK(ps_net_forward(trained, data->fields, 3) == PS_BAD_VALUE);
    CHECK(ps_net_forward(trained, data->fields, 0) == PS_BAD_VALUE);
    narrow.w--;
    CHECK(ps_net_forward(trained, &narrow, 1) == PS_BAD_VALUE);
    CHECK(ps_net_forward(trained, data->fields, 2) == PS_OK);
    CHECK(ps_net_backward(trained, "softmax", outside, weights, 0, &number, NULL) ==
          PS_BAD_VALUE);
    CHECK(ps_loss("none", CLASSES, scale, 0, 0, &number, NULL) == PS_BAD_VALUE);
    CHECK(ps_optimizer_init(&optimizer, "none", trained) == PS_BAD_VALUE && !optimizer);
    CHECK(ps_net_init(&net, small, &plan) == PS_OK);
    CHECK(ps_net_begin(net, 0) == PS_BAD_VALUE);
    CHECK(ps_optimizer_init(&optimizer, "sgd", net) == PS_BAD_VALUE && !optimizer);
    ps_net_free(net);
    ps_net_free(trained);
    ps_net_free(NULL);
    ps_optimizer_free(NULL);
    ps_loader_free(NULL);
    ps_image_close(NULL);
}

static void
test_losses(void)
{
    const float logits[2][CLASSES] = {{0, 0, 0}, {1000, 0, -1000}};
    float probabilities[2][CLASSES];
    double loss = -1, gradient[CLASSES];

    CHECK(ps_loss("softmax", CLASSES, logits[0], 1, 0, &loss, gradient) == PS_OK);
    CHECK(fabs(loss - log(3)) < 1e-12 && fabs(gradient[1] + 2.0 / 3) < 1e-12);
    CHECK(ps_loss("softmax", CLASSES, logits[1], 2, 0, &loss, NULL) == PS_OK && loss == 2000);
    ps_softmax(2, CLASSES, logits[0], probabilities[0]);
    CHECK(fabsf(probabilities[0][2] - 1.0f / 3) < 1e-6f && probabilities[1][0] == 1);
}

/* Arrays of the exact size, so that a sanitizer sees a step outside. */
static void
test_augment(void)
{
    static const ps_dtype types[] = {PS_UINT8, PS_UINT16, PS_FLOAT32};
    const int64_t sizes[][2] = {{1, 1}, {1, 40}, {40, 1}, {17, 33}, {32, 32}};

    for (size_t i = 0; i < 15; i++) {
        int64_t h = sizes[i / 3][0], w = sizes[i / 3][1];
        ps_dtype type = types[i % 3];
        void *pixels = calloc((size_t)(C * h * w), type), *spare = malloc((size_t)(h * w) * type);
        for (uint64_t sample = 0; sample < 20; sample++)
            for (int row = 0; ps_augment_name(row); row++) {
                int status = ps_augment(PS_AUGMENT(row), &(ps_chance){1, 2, sample},
                                        (int64_t[]){C, h, w}, type, pixels, spare);
                int is_turn = strcmp(ps_augment_name(row), "turn") == 0;
                CHECK(status == (is_turn && h != w ? PS_BAD_VALUE : PS_OK));
            }
        free(pixels);
        free(spare);
    }
}

int
main(void)
{
    static batch data;

    fill(&data);
    test_errors();
    test_tables();
    test_shapes();
    test_predict(&data);
    test_gradient(&data);
    test_training(&data);
    test_stopping(&data);
    test_misuse(&data);
    test_losses();
    test_augment();
    return failures > 0;
}
