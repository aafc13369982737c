#define _GNU_SOURCE
#include "mapping_shims.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct sluice_mapping {
    // 0 while the slot is free. The handler reads slots while others change, but its own does not: its thread is reading there.
    _Atomic uintptr_t base;
    _Atomic size_t length;
    atomic_int damaged;
    sluice_mapping *next_free;
};

// Max mappings of a process on Linux (vm.max_map_count). Slots that were never used take no memory.
#define SLOTS 65536

static sluice_mapping slots[SLOTS];
static _Atomic size_t used_slots;
static _Atomic size_t mappings;
static sluice_mapping *free_slots;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static struct sigaction previous;
static uintptr_t page_bytes;

// Calls only what is allowed in a signal handler, and mmap, which is a plain system call here.
static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    int saved = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    size_t count = atomic_load(&used_slots);
    for (size_t i = 0; i < count; i++) {
        uintptr_t base = atomic_load(&slots[i].base);
        size_t length = atomic_load(&slots[i].length);
        if (base == 0 || at < base || at - base >= length || atomic_load(&slots[i].base) != base) continue;
        uintptr_t page = at & ~(page_bytes - 1);
        // Replaces all that follows, so that a mapping is cut in two at most: none of it is valid now.
        atomic_store(&slots[i].damaged, 1);
        void *zeros = mmap((void *)page, base + length - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (zeros == MAP_FAILED) break;
        errno = saved;
        return;
    }
    // Not one of our mappings: the previous action is restored, and takes effect when the instruction is tried again.
    sigaction(SIGBUS, &previous, NULL);
    errno = saved;
}

static void install(void) {
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {0};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

static sluice_mapping *take_slot(void) {
    pthread_mutex_lock(&lock);
    sluice_mapping *slot = free_slots;
    size_t count = atomic_load(&used_slots);
    if (slot) {
        free_slots = slot->next_free;
    } else if (count < SLOTS) {
        slot = &slots[count];
        atomic_store(&used_slots, count + 1);
    }
    pthread_mutex_unlock(&lock);
    return slot;
}

static void give_back(sluice_mapping *slot) {
    pthread_mutex_lock(&lock);
    slot->next_free = free_slots;
    free_slots = slot;
    pthread_mutex_unlock(&lock);
}

sluice_mapping *sluice_map(int descriptor, size_t length) {
    pthread_once(&installed, install);
    sluice_mapping *slot = take_slot();
    if (!slot) {
        errno = ENOMEM;
        return NULL;
    }
    void *base = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (base == MAP_FAILED) {
        int error = errno;
        give_back(slot);
        errno = error;
        return NULL;
    }
    atomic_store(&slot->damaged, 0);
    atomic_store(&slot->length, length);
    atomic_store(&slot->base, (uintptr_t)base);
    atomic_fetch_add(&mappings, 1);
    return slot;
}

void sluice_unmap(sluice_mapping *mapping) {
    void *base = (void *)atomic_load(&mapping->base);
    size_t length = atomic_load(&mapping->length);
    atomic_store(&mapping->base, 0);
    munmap(base, length);
    atomic_fetch_sub(&mappings, 1);
    give_back(mapping);
}

const void *sluice_mapping_base(const sluice_mapping *mapping) { return (const void *)atomic_load(&mapping->base); }

int sluice_mapping_is_damaged(const sluice_mapping *mapping) { return atomic_load(&mapping->damaged); }

size_t sluice_mapping_count(void) { return atomic_load(&mappings); }
