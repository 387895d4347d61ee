/* SPDX-License-Identifier: BSD-3-Clause */
/* The geometry of a tower's workspace: how many tiles a strip has, and where in a thread's floats
 * each buffer of the kernels lies.  It is the same for every instruction set. */
#include "kernels.h"

int64_t
ps_tower_tiles(int64_t windows, int64_t window)
{
    return (windows * window + 3) / 4;
}

int64_t
ps_tower_padded(int64_t tiles)
{
    return (tiles + 2 * PS_BLOCK) / PS_BLOCK * PS_BLOCK;
}

/* The next `n` floats of a workspace, from the start of a cache line. */
static float *
take(float *space, int64_t *used, int64_t n)
{
    float *part = space ? space + *used : NULL;

    *used += (n + 15) / 16 * 16;
    return part;
}

int64_t
ps_tower_carve(const ps_tower *tower, int64_t windows_h, int64_t windows_w, int is_training,
               float *space, ps_tower_work *work)
{
    int64_t n = tower->blocks, in = tower->in, tile = 16 * PS_BLOCK, used = 0;
    int64_t tx = ps_tower_tiles(windows_w, tower->window), padded = ps_tower_padded(tx + 2);
    int64_t run = PS_TOWER_RUN, window = tower->window;
    int64_t rows_of_windows = window < 4 ? 4 / window : 1;
    int64_t band = window < PS_TOWER_BAND ? PS_TOWER_BAND / window : 1;
    int64_t ty = ps_tower_tiles(band < windows_h ? band : windows_h, window);

    work->band_rows = 8;
    while (is_training && work->band_rows < 4 * (ty + 3))
        work->band_rows *= 2;
    work->rows = take(space, &used, in * work->band_rows * 4 * padded);
    work->phases = take(space, &used, 8 * 4 * padded + PS_BLOCK);
    work->v1 = take(space, &used, 64 * in * padded);
    work->w = take(space, &used, n * 8 * (run * 8 + 1) * PS_BLOCK);
    work->v = take(space, &used, (is_training ? 64 : 8) * n * (run + 1) * PS_BLOCK);
    work->m = take(space, &used, 8 * (1 + n) * (run + 1) * PS_BLOCK);
    work->z = take(space, &used, n * 8 * (run * 4 + 1) * PS_BLOCK);
    work->ring[0] = take(space, &used, 2 * n * (tx + 2) * tile);
    work->ring[1] = take(space, &used, 2 * n * (tx + 1) * tile);
    work->best = take(space, &used, rows_of_windows * windows_w * n * PS_BLOCK);
    work->where = (int32_t *)take(space, &used, rows_of_windows * windows_w * n * PS_BLOCK);
    if (!is_training)
        return used;
    int64_t tiles[2] = {(ty + 2) * (tx + 2), (ty + 1) * (tx + 1)};
    for (int i = 0; i < 4; i++)
        work->map[i] = take(space, &used, n * tiles[i / 2] * tile);
    for (int i = 0; i < 2; i++) {
        work->touched[i] = (unsigned char *)take(space, &used, (tiles[i] + 3) / 4);
        work->list[i] = (int32_t *)take(space, &used, tiles[i]);
    }
    work->du1 = take(space, &used, 64 * n * in * PS_BLOCK);
    work->du2 = take(space, &used, 64 * n * n * PS_BLOCK * PS_BLOCK);
    work->dtaps = take(space, &used, tower->c * 25 * n * PS_BLOCK);
    for (int i = 0; i < 3; i++)
        work->dbias[i] = take(space, &used, n * PS_BLOCK);
    return used;
}
