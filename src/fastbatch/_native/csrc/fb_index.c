#include "fb_index.h"

/* The loop has no branch, so that it vectorises; which index was bad is asked only when one was. A uint64 beyond
 * 2^63 looks negative as int64, but is not counted from the end. */
#define COUNTED(index) ((int64_t)(index) + ((index) < 1 && (int64_t)(index) < 0 ? count : 0))

#define DEFINE_CHECK(name, index_type, row_type)                                                              \
    static size_t name(const void *indices, size_t n, uint64_t n_rows, void *out) {                           \
        const index_type *index = (const index_type *)indices;                                                \
        row_type *rows = (row_type *)out;                                                                     \
        const int64_t count = (int64_t)n_rows;                                                                \
        uint64_t bad = 0; /* its top bit: a row was negative, or beyond the last */                           \
        for (size_t i = 0; i < n; ++i) {                                                                      \
            const int64_t row = COUNTED(index[i]);                                                            \
            bad |= (uint64_t)row | ((uint64_t)count - 1 - (uint64_t)row);                                     \
            rows[i] = (row_type)row;                                                                          \
        }                                                                                                     \
        if (bad >> 63 == 0) return n;                                                                         \
        size_t first = 0; /* bounded, because somebody may have mended the index meanwhile */                 \
        while (first + 1 < n && COUNTED(index[first]) >= 0 && COUNTED(index[first]) < count) ++first;         \
        return first;                                                                                         \
    }

#define DEFINE_CHECKS(index_type)                                \
    DEFINE_CHECK(check_##index_type##_u32, index_type, uint32_t) \
    DEFINE_CHECK(check_##index_type##_u64, index_type, uint64_t)

DEFINE_CHECKS(int8_t)
DEFINE_CHECKS(int16_t)
DEFINE_CHECKS(int32_t)
DEFINE_CHECKS(int64_t)
DEFINE_CHECKS(uint8_t)
DEFINE_CHECKS(uint16_t)
DEFINE_CHECKS(uint32_t)
DEFINE_CHECKS(uint64_t)

#define CHECK(index_type) (wide ? check_##index_type##_u64 : check_##index_type##_u32)(index, n, n_rows, out)

size_t fb_check_rows(const void *index, size_t item_nbytes, int is_signed, size_t n, uint64_t n_rows, int wide,
                     void *out) {
    if (is_signed) {
        switch (item_nbytes) {
        case 1: return CHECK(int8_t);
        case 2: return CHECK(int16_t);
        case 4: return CHECK(int32_t);
        default: return CHECK(int64_t);
        }
    }
    switch (item_nbytes) {
    case 1: return CHECK(uint8_t);
    case 2: return CHECK(uint16_t);
    case 4: return CHECK(uint32_t);
    default: return CHECK(uint64_t);
    }
}
