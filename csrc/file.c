/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that is read.  A disk or a share that fails for a moment is asked again, and one that goes
 * on failing is named: what it did not give is never taken for damage of the file. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define MOST_TRIES 4 /* with pauses of 10, 40, 160 ms between them */
#define MOST_SIGNALS 10000

/* Whether to try again after this error, the `tried`-th; pauses where it is one of the disk. */
static int
is_to_be_tried(int error, int *tried, int *signals)
{
    struct timespec pause = {0, 10000000L << 2 * *tried};

    if (error == EINTR)
        return ++*signals < MOST_SIGNALS;
    if ((error != EIO && error != ESTALE && error != EAGAIN && error != ETIMEDOUT) ||
        ++*tried == MOST_TRIES)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

static int
open_patiently(const char *path)
{
    int tried = 0, signals = 0, fd;

    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would block */
    while (fd < 0 && is_to_be_tried(errno, &tried, &signals));
    return fd;
}

/* A server has forgotten the file: it is opened anew, if it is the same. */
static void
open_again(ps_file *self)
{
    struct stat about;
    int fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == self->bytes &&
        about.st_mtim.tv_sec == self->changed.tv_sec &&
        about.st_mtim.tv_nsec == self->changed.tv_nsec)
        dup3(fd, self->fd, O_CLOEXEC);
    close(fd);
}

int
ps_file_open(ps_file *self, const char *path)
{
    int ret = PS_OK;
    struct stat about;

    self->path = path;
    self->fd = open_patiently(path);
    self->is_open = self->fd >= 0;
    if (!self->is_open || fstat(self->fd, &about) != 0)
        FAIL(PS_IO, "cannot be opened: %s", strerror(errno));
    if (!S_ISREG(about.st_mode))
        FAIL(PS_IO, "is a %s; name a TIFF file", S_ISDIR(about.st_mode) ? "folder" : "device");
    if (about.st_size == 0)
        FAIL(PS_BAD_IMAGE, "is empty; copy the file again from its source");
    self->bytes = about.st_size;
    self->changed = about.st_mtim;
out:
    return ret;
}

int64_t
ps_file_read(ps_file *self, int64_t at, int64_t n, void *bytes)
{
    int error, tried = 0, signals = 0;
    int64_t done = 0;

    n = at < 0 || at >= self->bytes ? 0 : n > self->bytes - at ? self->bytes - at : n;
    while (done < n) {
        ssize_t got = pread(self->fd, (char *)bytes + done, (size_t)(n - done), at + done);
        error = errno;
        if (got > 0) {
            done += got;
        } else if (got == 0) {
            self->is_cut = 1;
            break;
        } else if (!is_to_be_tried(error, &tried, &signals)) {
            self->fault = error;
            break;
        } else if (error == ESTALE) {
            open_again(self);
        }
    }
    return done;
}

int
ps_file_blame(const ps_file *self, int status)
{
    if (status != PS_OK && self->fault != 0)
        return ps_fail(PS_IO, "cannot be read from its disk: %s; the file may be whole: see to the "
                       "disk or the share, then try again", strerror(self->fault));
    if (status != PS_OK && self->is_cut)
        return ps_fail(PS_IO, "has lost its end while it was read; wait until it is written, or "
                       "copy the file again from its source");
    return status;
}

void
ps_file_close(ps_file *self)
{
    if (self->is_open)
        close(self->fd);
    self->is_open = 0;
}
