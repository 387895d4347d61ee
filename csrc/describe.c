/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the text that describes a network into a list of layers; net.c then builds them.
 * Everything is bounded: the text comes from model files. */
#include "net.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 1024
#define MAX_TEXT 65536

/* The table of layer types. */
static const ps_layer_type *const types[] = {
    &ps_layer_input, &ps_layer_pyramid, &ps_layer_tower, &ps_layer_conv, &ps_layer_pool,
    &ps_layer_merge, &ps_layer_gap,     &ps_layer_dense, NULL};
#define TYPES ((int)(sizeof types / sizeof *types) - 1)

const char *
ps_layer_name(int row)
{
    return row >= 0 && row < TYPES ? types[row]->name : NULL;
}

static int
is_name(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length >= sizeof((ps_layer *)0)->name)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return 0;
    return 1;
}

static int
find_layer(const ps_net *net, const char *name)
{
    for (int i = 0; i < net->n_layers; i++)
        if (strcmp(net->layers[i].name, name) == 0)
            return i;
    return -1;
}

/* from=a,b,c: names of layers above */
static int
read_sources(const ps_net *net, ps_layer *layer, char *names)
{
    int ret = PS_OK;
    char *rest = NULL;

    for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        int number = find_layer(net, name);
        if (number < 0)
            FAIL(PS_BAD_VALUE, "layer '%s': there is no layer '%s' above it", layer->name, name);
        if (layer->n_sources == PS_MAX_SOURCES)
            FAIL(PS_BAD_VALUE, "layer '%s' reads more than %d layers", layer->name,
                 PS_MAX_SOURCES);
        layer->source[layer->n_sources++] = number;
    }
out:
    return ret;
}

static int
read_option(ps_layer *layer, const char *key, const char *text, unsigned *seen)
{
    int ret = PS_OK;
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    int row = 0;

    while (row < PS_MAX_OPTIONS && layer->type->options[row].name &&
           strcmp(layer->type->options[row].name, key) != 0)
        row++;
    if (row == PS_MAX_OPTIONS || !layer->type->options[row].name)
        FAIL(PS_BAD_VALUE, "layer '%s': a %s has no option '%s'", layer->name, layer->type->name,
             key);
    const ps_option *option = &layer->type->options[row];
    if (end == text || *end != '\0' || value < option->min || value > option->max)
        FAIL(PS_BAD_VALUE, "layer '%s': %s=%s is not a whole number from %lld to %lld",
             layer->name, key, text, (long long)option->min, (long long)option->max);
    if (*seen & 1u << row)
        FAIL(PS_BAD_VALUE, "layer '%s': %s is given twice", layer->name, key);
    *seen |= 1u << row;
    layer->option[row] = value;
out:
    return ret;
}

static int
check_options(const ps_net *net, ps_layer *layer, unsigned seen)
{
    int ret = PS_OK;
    const ps_layer_type *type = layer->type;

    for (int row = 0; row < PS_MAX_OPTIONS && type->options[row].name; row++) {
        if (seen & 1u << row)
            continue;
        if (type->options[row].fallback < type->options[row].min)
            FAIL(PS_BAD_VALUE, "layer '%s': a %s needs %s=", layer->name, type->name,
                 type->options[row].name);
        layer->option[row] = type->options[row].fallback;
    }
    if (layer->n_sources == 0 && type->max_sources > 0 && net->n_layers > 0)
        layer->source[layer->n_sources++] = net->n_layers - 1;
    if (layer->n_sources < type->min_sources || layer->n_sources > type->max_sources)
        FAIL(PS_BAD_VALUE, "layer '%s': a %s reads %d to %d layers, not %d", layer->name,
             type->name, type->min_sources, type->max_sources, layer->n_sources);
out:
    return ret;
}

/* name: type key=value ... */
static int
read_line(ps_net *net, char *line, int number)
{
    int ret = PS_OK;
    char *rest = NULL;
    unsigned seen = 0;
    ps_layer *layer = &net->layers[net->n_layers];
    char *name = strtok_r(line, " \t", &rest);

    if (!name)
        goto out; /* an empty line */
    if (net->n_layers == PS_MAX_LAYERS)
        FAIL(PS_LIMIT, "a network has at most %d layers", PS_MAX_LAYERS);
    memset(layer, 0, sizeof *layer);
    if (strlen(name) < 2 || name[strlen(name) - 1] != ':')
        FAIL(PS_BAD_VALUE, "line %d of the network does not begin with 'name: type'", number);
    name[strlen(name) - 1] = '\0';
    if (!is_name(name) || find_layer(net, name) >= 0)
        FAIL(PS_BAD_VALUE, "line %d of the network: the name is too long, has odd characters, "
             "or is there twice", number);
    strcpy(layer->name, name);

    char *type = strtok_r(NULL, " \t", &rest);
    for (int row = 0; type && types[row]; row++)
        if (strcmp(types[row]->name, type) == 0)
            layer->type = types[row];
    if (!layer->type)
        FAIL(PS_BAD_VALUE, "layer '%s': there is no layer type '%s'", layer->name,
             type ? type : "");
    for (char *word = strtok_r(NULL, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        char *value = strchr(word, '=');
        if (!value)
            FAIL(PS_BAD_VALUE, "layer '%s': '%.40s' is not key=value", layer->name, word);
        *value++ = '\0';
        if (strcmp(word, "from") == 0)
            TRY(read_sources(net, layer, value));
        else
            TRY(read_option(layer, word, value, &seen));
    }
    TRY(check_options(net, layer, seen));
    net->n_layers++;
out:
    return ret;
}

int
ps_describe(ps_net *self, const char *description)
{
    int ret = PS_OK, number = 0;
    char *line = NULL;

    TRY(ps_array(&line, MAX_LINE, 1));
    if (strlen(description) > MAX_TEXT)
        FAIL(PS_LIMIT, "the description of a network is longer than %d characters", MAX_TEXT);
    TRY(ps_array_zeroed(&self->layers, PS_MAX_LAYERS + 1, sizeof *self->layers));
    for (const char *at = description; *at;) {
        size_t length = strcspn(at, "\n");
        number++;
        if (length >= MAX_LINE)
            FAIL(PS_LIMIT, "line %d of the network is longer than %d characters", number,
                 MAX_LINE - 1);
        memcpy(line, at, length);
        line[length] = '\0';
        TRY(read_line(self, line, number));
        at += length + (at[length] == '\n');
    }
    if (self->n_layers == 0)
        FAIL(PS_BAD_VALUE, "the description of the network is empty");
out:
    free(line);
    return ret;
}
