#pragma once
#include <sys/types.h>

/// An empty file in memory, closed in programs that this one starts; -1 with `errno` on failure.
int sluice_memory_file(void);

/// A pipe, closed in programs that this one starts. Returns 0, or -1 with `errno`.
int sluice_pipe(int ends[2]);

/// Starts a program without a shell, in a process group of its own, with the signals of a new shell. It gets `input` as its standard
/// input and `errors` as its standard error; its standard output is dropped, and every other file is closed. Returns 0 and sets
/// `*process`, or returns an error number.
int sluice_spawn(const char *program, char *const arguments[], char *const environment[], int input, int errors,
                 pid_t *process);
