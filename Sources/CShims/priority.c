#define _GNU_SOURCE
#include "priority_shims.h"
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// `struct sched_attr`, first version (sched_setattr(2)); the C library has no declaration of it everywhere.
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

enum { NICENESS = 10 };

int sluice_lower_priority(void) {
#ifdef SYS_sched_setattr
    // Since Linux 6.12 `runtime` is the time slice, 0.1 ms here: a thread that wakes up need not wait for the end of a long one.
    // Older kernels ignore it.
    struct attributes attributes = {.size = sizeof attributes, .nice = NICENESS, .runtime = 100000};
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return 0;
#endif
    // On Linux, process 0 is the calling thread.
    return setpriority(PRIO_PROCESS, 0, NICENESS);
}
