#pragma once
#include <stdint.h>

/// Nanoseconds since 1970 at which an open file was made, 0 where its file system does not tell; and its inode.
uint64_t sluice_file_birth(int file, uint64_t *inode);
