#include "crc32c_shims.h"
#include <string.h>

// The polynomial, bit-reflected: the top bit of a word is the coefficient of x^0.
#define POLYNOMIAL 0x82F63B78u

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, word) _mm_crc32_u64((crc), (word))
#define STEP1(crc, byte) _mm_crc32_u8((uint32_t)(crc), (byte))
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define HARDWARE
#define STEP8(crc, word) __crc32cd((uint32_t)(crc), (word))
#define STEP1(crc, byte) __crc32cb((uint32_t)(crc), (byte))
#endif

// slice[k][b] is the CRC of byte b with k zero bytes after it.
static uint32_t slice[8][256];

static void fill_slices(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? POLYNOMIAL ^ (c >> 1) : c >> 1;
        slice[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++) slice[k][i] = slice[0][slice[k - 1][i] & 255] ^ (slice[k - 1][i] >> 8);
}

static uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static uint32_t portable(uint32_t c, const uint8_t *p, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w = load(p) ^ c;
        c = slice[7][w & 255] ^ slice[6][(w >> 8) & 255] ^ slice[5][(w >> 16) & 255] ^ slice[4][(w >> 24) & 255]
            ^ slice[3][(w >> 32) & 255] ^ slice[2][(w >> 40) & 255] ^ slice[1][(w >> 48) & 255] ^ slice[0][w >> 56];
    }
#endif
    while (n--) c = slice[0][(c ^ *p++) & 255] ^ (c >> 8);
    return c;
}

#ifdef HARDWARE

// The instruction takes three cycles and one can start in each cycle, so three streams in parallel, each of `LONG` or `SHORT`
// bytes, are as fast as one. Their CRCs are joined by moving the earlier ones over as many zero bytes.
#define LONG 4096
#define SHORT 256

// shift[b][v] is a CRC whose byte b is v, and whose others are 0, moved over a stream's length of zero bytes.
static uint32_t long_shift[4][256];
static uint32_t short_shift[4][256];

// The product of two polynomials modulo the CRC's.
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? POLYNOMIAL ^ (b >> 1) : b >> 1;
    }
    return product;
}

static void fill_shift(uint32_t shift[4][256], size_t bytes) {
    // x^8, squared log2(bytes) times: `bytes` is a power of two.
    uint32_t power = 1u << 23;
    for (; bytes > 1; bytes >>= 1) power = multiply(power, power);
    for (int b = 0; b < 4; b++)
        for (uint32_t v = 0; v < 256; v++) shift[b][v] = multiply(power, v << (8 * b));
}

static uint32_t moved(uint32_t shift[4][256], uint32_t c) {
    return shift[0][c & 255] ^ shift[1][(c >> 8) & 255] ^ shift[2][(c >> 16) & 255] ^ shift[3][c >> 24];
}

HARDWARE static inline __attribute__((always_inline)) uint32_t three(
    uint32_t c, const uint8_t *p, size_t each, uint32_t shift[4][256]
) {
    uint64_t c0 = c, c1 = 0, c2 = 0;
    for (size_t i = 0; i < each; i += 8) {
        c0 = STEP8(c0, load(p + i));
        c1 = STEP8(c1, load(p + each + i));
        c2 = STEP8(c2, load(p + 2 * each + i));
    }
    c1 ^= moved(shift, (uint32_t)c0);
    return (uint32_t)c2 ^ moved(shift, (uint32_t)c1);
}

HARDWARE static uint32_t hardware(uint32_t c, const uint8_t *p, size_t n) {
    for (; n >= 3 * LONG; n -= 3 * LONG, p += 3 * LONG) c = three(c, p, LONG, long_shift);
    for (; n >= 3 * SHORT; n -= 3 * SHORT, p += 3 * SHORT) c = three(c, p, SHORT, short_shift);
    uint64_t wide = c;
    for (; n >= 8; n -= 8, p += 8) wide = STEP8(wide, load(p));
    c = (uint32_t)wide;
    while (n--) c = STEP1(c, *p++);
    return c;
}

static int has_instruction;

#endif

// Runs before `main`, so that no checksum has to wait for the tables.
__attribute__((constructor)) static void prepare(void) {
    fill_slices();
#ifdef HARDWARE
    fill_shift(long_shift, LONG);
    fill_shift(short_shift, SHORT);
#if defined(__x86_64__)
    __builtin_cpu_init();
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#else
    has_instruction = 1;
#endif
#endif
}

uint32_t sluice_crc32c_portable(uint32_t crc, const uint8_t *bytes, size_t length) {
    return ~portable(~crc, bytes, length);
}

uint32_t sluice_crc32c(uint32_t crc, const uint8_t *bytes, size_t length) {
#ifdef HARDWARE
    if (has_instruction) return ~hardware(~crc, bytes, length);
#endif
    return sluice_crc32c_portable(crc, bytes, length);
}
