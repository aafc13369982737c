#define _GNU_SOURCE
#include "process_shims.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

int sluice_memory_file(void) { return memfd_create("sluice", MFD_CLOEXEC); }

int sluice_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

static int set_files(posix_spawn_file_actions_t *actions, int input, int errors) {
    int fault = posix_spawn_file_actions_adddup2(actions, input, 0);
    if (fault == 0) fault = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (fault == 0) fault = posix_spawn_file_actions_adddup2(actions, errors, 2);
    if (fault == 0) fault = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    return fault;
}

static int set_signals(posix_spawnattr_t *attributes) {
    sigset_t signals;
    sigfillset(&signals);
    int fault = posix_spawnattr_setsigdefault(attributes, &signals);
    sigemptyset(&signals);
    if (fault == 0) fault = posix_spawnattr_setsigmask(attributes, &signals);
    if (fault == 0) fault = posix_spawnattr_setpgroup(attributes, 0);
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    return fault == 0 ? posix_spawnattr_setflags(attributes, flags) : fault;
}

int sluice_spawn(const char *program, char *const arguments[], char *const environment[], int input, int errors, pid_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int fault = posix_spawn_file_actions_init(&actions);
    if (fault != 0) return fault;
    fault = posix_spawnattr_init(&attributes);
    if (fault == 0) {
        fault = set_files(&actions, input, errors);
        if (fault == 0) fault = set_signals(&attributes);
        if (fault == 0) fault = posix_spawn(process, program, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return fault;
}
