#pragma once
#include <features.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/// Returns free memory that the allocator keeps to the system, if the allocator can.
static inline void sluice_trim_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
