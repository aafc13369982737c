#pragma once
#include <stdint.h>

/// When an open file was created, in nanoseconds since 1970; 0 if its file system does not record that. `*inode` gets its inode.
uint64_t sluice_file_birth(int file, uint64_t *inode);
