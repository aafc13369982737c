#include "crc32c_shims.h"
#include <string.h>

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0x82F63B78u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
}

static uint32_t portable(uint32_t c, const uint8_t *p, size_t n) {
    while (n--) c = table[(c ^ *p++) & 255] ^ (c >> 8);
    return c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t c, const uint8_t *p, size_t n) {
    uint64_t wide = c;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    c = (uint32_t)wide;
    while (n--) c = _mm_crc32_u8(c, *p++);
    return c;
}

uint32_t sluice_crc32c(uint32_t crc, const uint8_t *bytes, size_t length) {
    return ~(__builtin_cpu_supports("sse4.2") ? hardware(~crc, bytes, length) : portable(~crc, bytes, length));
}
#else
uint32_t sluice_crc32c(uint32_t crc, const uint8_t *bytes, size_t length) {
    return ~portable(~crc, bytes, length);
}
#endif
