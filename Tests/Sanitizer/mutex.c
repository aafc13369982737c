// Tells the thread sanitizer about Swift's Mutex: to be loaded before a test program that is built with --sanitize thread.
//
// A contended Mutex is handed over by the kernel (FUTEX_LOCK_PI), which the sanitizer does not see, so it reports a race for each.
// The uncontended lock is an atomic exchange in the program itself, which it does see, at the same address.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

// Of the sanitizer, which is in the program. Absent from others that make starts in the same environment.
__attribute__((weak)) void __tsan_acquire(void *);
__attribute__((weak)) void __tsan_release(void *);

static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) abort();
    return function;
}

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void lock_slow(uint32_t thread, SELF self) __asm__(LOCK);
SWIFT void lock_slow(uint32_t thread, SELF self) {
    static SWIFT void (*real)(uint32_t, SELF);
    if (!real) real = next(LOCK);
    real(thread, self);
    if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT void unlock_slow(SELF self) __asm__(UNLOCK);
SWIFT void unlock_slow(SELF self) {
    static SWIFT void (*real)(SELF);
    if (!real) real = next(UNLOCK);
    if (__tsan_release) __tsan_release(self);
    real(self);
}
