#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc` (0 at the start).
uint32_t sluice_crc32c(uint32_t crc, const uint8_t *bytes, size_t length);

/// The same without the CRC instruction, as on machines that lack it.
uint32_t sluice_crc32c_portable(uint32_t crc, const uint8_t *bytes, size_t length);
