/* Between the program and the system: a test says in files of the folder FAULTS what is wrong.
 *
 * `clock` holds by how many seconds the wall clock is off. `thread` holds a word and the name of a thread: `hang shard-0`
 * (it waits inside the system until the word is gone) or `fail shard-0` (the system has lost what it waits for, so that
 * the thread panics). Files that are not there mean that nothing is wrong. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* What a file of the folder says; empty when there is none. */
static void look(const char *name, char *text, size_t size) {
    const char *folder = getenv("FAULTS");
    char path[PATH_MAX];
    memset(text, 0, size);
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    if (read(file, text, size - 1) < 0) text[0] = 0;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        char text[32];
        look("clock", text, sizeof text);
        time->tv_sec += atol(text);
    }
    return result;
}

/* Whether the word is about the calling thread. */
static int says(const char *word) {
    char text[64], name[32] = {0}, wanted[64];
    look("thread", text, sizeof text);
    if (!text[0]) return 0;
    pthread_getname_np(pthread_self(), name, sizeof name);
    snprintf(wanted, sizeof wanted, "%s %s", word, name);
    return strcmp(text, wanted) == 0;
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout) {
    static int (*real)(int, struct epoll_event *, int, int);
    if (!real) real = dlsym(RTLD_NEXT, "epoll_wait");
    while (says("hang")) usleep(5000);
    if (says("fail")) { errno = EBADF; return -1; }
    return real(epoll, events, count, timeout);
}
