#pragma once
#include <stddef.h>

/// A file mapped for reading. Where its bytes can't be read any more, since the file was cut short or its disk failed, they
/// read as zeros from there on and the mapping is marked: without that the signal would end the process.
typedef struct sluice_mapping sluice_mapping;

/// Maps the first `length` bytes (at least 1) of an open file; NULL with `errno` where that fails.
sluice_mapping *sluice_map(int descriptor, size_t length);

void sluice_unmap(sluice_mapping *mapping);

const void *sluice_mapping_base(const sluice_mapping *mapping);

/// Whether a reader has met bytes that could not be read. To be asked after the bytes were used.
int sluice_mapping_is_damaged(const sluice_mapping *mapping);

/// Mappings that there are now.
size_t sluice_mapping_count(void);
