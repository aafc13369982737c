// A disk that is slow or full, for a process that is started with this library preloaded: TEST_DISK_SYNC_MS delays each
// fdatasync, and while the file TEST_DISK_FULL names exists, writes to segments fail as on a full disk.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_segment(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strncmp(name, "/seg-", 5) == 0;
}

ssize_t write(int file, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    const char *full = getenv("TEST_DISK_FULL");
    if (full && access(full, F_OK) == 0 && is_segment(file)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, count);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *delay = getenv("TEST_DISK_SYNC_MS");
    if (delay) usleep((useconds_t)atoi(delay) * 1000);
    return real(file);
}
