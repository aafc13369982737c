#define _GNU_SOURCE
#include "file_shims.h"
#include <fcntl.h>
#include <sys/stat.h>

uint64_t sluice_file_birth(int file, uint64_t *inode) {
    struct statx facts;
    if (statx(file, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &facts) != 0) {
        *inode = 0;
        return 0;
    }
    *inode = facts.stx_ino;
    if (!(facts.stx_mask & STATX_BTIME)) return 0;
    return (uint64_t)facts.stx_btime.tv_sec * 1000000000u + facts.stx_btime.tv_nsec;
}
