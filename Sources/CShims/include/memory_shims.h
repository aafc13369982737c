#pragma once
#include <features.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/// Gives memory that the allocator keeps for later back to the system, where the allocator can.
static inline void sluice_trim_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
