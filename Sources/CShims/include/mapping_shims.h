#pragma once
#include <stddef.h>

/// A file mapped for reading. If bytes cannot be read any more, because the file was cut or its disk failed, they read as
/// zeros from there on and the mapping is marked as damaged. Without that, SIGBUS would end the process.
typedef struct sluice_mapping sluice_mapping;

/// Maps the first `length` bytes (at least 1) of an open file; NULL with `errno` on failure.
sluice_mapping *sluice_map(int descriptor, size_t length);

void sluice_unmap(sluice_mapping *mapping);

const void *sluice_mapping_base(const sluice_mapping *mapping);

/// Whether bytes could not be read. Check it after the bytes were used.
int sluice_mapping_is_damaged(const sluice_mapping *mapping);

/// Number of mappings now.
size_t sluice_mapping_count(void);
