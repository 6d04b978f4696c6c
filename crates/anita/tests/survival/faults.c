/* Between the program and its disk: a test says in a file what shall fail.
 *
 * The file named by FAULTS holds one word: `full` (writes to the store say that the disk is full), `sync` (fsync and
 * fdatasync say that the disk failed), or anything else for no fault. Only files below the folder FAULTS_BELOW are
 * concerned. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int says(const char *word) {
    const char *path = getenv("FAULTS");
    char text[16] = {0};
    if (!path) return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t (*real_read)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    real_read(file, text, sizeof text - 1);
    close(file);
    return strncmp(text, word, strlen(word)) == 0;
}

static int is_store(int file) {
    const char *below = getenv("FAULTS_BELOW");
    char link[64], path[PATH_MAX] = {0};
    if (!below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    return strncmp(path, below, strlen(below)) == 0 && strstr(path, "anita.db");
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    if (is_store(file) && says("full")) { errno = ENOSPC; return -1; }
    return real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    if (is_store(file) && says("sync")) { errno = EIO; return -1; }
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    if (is_store(file) && says("sync")) { errno = EIO; return -1; }
    return real(file);
}
