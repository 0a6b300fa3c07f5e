#include "fb_cast.h"

#include <string.h>

#include "fb_half.h"

/* Elements that are read, and then written as what no arithmetic is done in, while they are in the L1. */
enum { BLOCK = 512 };

#define DEFINE_LOAD(type, element)                                \
    FB_INLINE element load_##type(const char *from, size_t i) {   \
        element loaded;                                           \
        memcpy(&loaded, from + i * sizeof loaded, sizeof loaded); \
        return loaded;                                            \
    }
DEFINE_LOAD(u8, uint8_t)
DEFINE_LOAD(i8, int8_t)
DEFINE_LOAD(i16, int16_t)
DEFINE_LOAD(u16, uint16_t)
DEFINE_LOAD(i32, int32_t)
DEFINE_LOAD(f32, float)
DEFINE_LOAD(f64, double)
FB_INLINE float load_f16(const char *from, size_t i) { return fb_float_of_half(load_u16(from, i)); }
FB_INLINE float load_bf16(const char *from, size_t i) { return fb_float_of_bfloat(load_u16(from, i)); }

/* The three functions that read a type: LOOP(value, number) goes over the elements. */
#define DEFINE_READ_BY(LOOP, type, real, level, target)                                                               \
    target static void read_plain_##type##_##real##_##level(const char *FB_RESTRICT from, const void *centers,        \
                                                            const void *scales, size_t n, void *FB_RESTRICT to) {     \
        real *FB_RESTRICT out = (real *)to;                                                                           \
        (void)centers;                                                                                                \
        (void)scales;                                                                                                 \
        LOOP(type, real, x)                                                                                           \
    }                                                                                                                 \
    target static void read_uniform_##type##_##real##_##level(const char *FB_RESTRICT from, const void *centers,      \
                                                              const void *scales, size_t n, void *FB_RESTRICT to) {   \
        real *FB_RESTRICT out = (real *)to;                                                                           \
        const real center = *(const real *)centers, scale = *(const real *)scales;                                    \
        LOOP(type, real, (x - center) * scale)                                                                        \
    }                                                                                                                 \
    target static void read_each_##type##_##real##_##level(const char *FB_RESTRICT from, const void *centers,         \
                                                           const void *scales, size_t n, void *FB_RESTRICT to) {      \
        real *FB_RESTRICT out = (real *)to;                                                                           \
        const real *FB_RESTRICT center = (const real *)centers, *FB_RESTRICT scale = (const real *)scales;            \
        LOOP(type, real, (x - center[i]) * scale[i])                                                                  \
    }

#define ONE_LOOP(type, real, number)                \
    for (size_t i = 0; i < n; ++i) {                \
        const real x = (real)load_##type(from, i);  \
        out[i] = number;                            \
    }

/* Bytes, 16 at a time: with AVX-512, left to itself, the compiler widens 64 of them in steps that cost 1.4x. */
#define BYTE_LOOP(type, real, number)                                                                \
    size_t done = 0;                                                                                 \
    for (; done + 16 <= n; done += 16) {                                                             \
        int32_t wide[16];                                                                            \
        real numbers[16];                                                                            \
        for (size_t k = 0; k < 16; ++k) wide[k] = load_##type(from, done + k);                       \
        for (size_t k = 0; k < 16; ++k) {                                                            \
            const size_t i = done + k;                                                               \
            const real x = (real)wide[k];                                                            \
            (void)i;                                                                                 \
            numbers[k] = number;                                                                     \
        }                                                                                            \
        memcpy(out + done, numbers, sizeof numbers);                                                 \
    }                                                                                                \
    for (size_t i = done; i < n; ++i) {                                                              \
        const real x = (real)load_##type(from, i);                                                   \
        out[i] = number;                                                                             \
    }

#define DEFINE_READ(type, real, level, target) DEFINE_READ_BY(ONE_LOOP, type, real, level, target)

#define DEFINE_WRITE(real, type, element, converted, level, target)                                                   \
    target static void write_##real##_##type##_##level(const void *FB_RESTRICT from, size_t n, char *FB_RESTRICT to) { \
        element *FB_RESTRICT out = (element *)(void *)to;                                                             \
        for (size_t i = 0; i < n; ++i) out[i] = converted(load_##real((const char *)from, i));                        \
    }

#define NARROWED(x) ((float)(x))
#define HALF_OF_DOUBLE(x) fb_half_of_float(fb_odd_float_of_double(x))
#define BFLOAT_OF_DOUBLE(x) fb_bfloat_of_float(fb_odd_float_of_double(x))

#define DEFINE_LEVEL(level, target, LOOP_OF_BYTES)                            \
    DEFINE_READ_BY(LOOP_OF_BYTES, u8, float, level, target)                   \
    DEFINE_READ_BY(LOOP_OF_BYTES, i8, float, level, target)                   \
    DEFINE_READ(i16, float, level, target)                                    \
    DEFINE_READ(u16, float, level, target)                                    \
    DEFINE_READ(f16, float, level, target)                                    \
    DEFINE_READ(bf16, float, level, target)                                   \
    DEFINE_READ(f32, float, level, target)                                    \
    DEFINE_READ_BY(LOOP_OF_BYTES, u8, double, level, target)                  \
    DEFINE_READ_BY(LOOP_OF_BYTES, i8, double, level, target)                  \
    DEFINE_READ(i16, double, level, target)                                   \
    DEFINE_READ(u16, double, level, target)                                   \
    DEFINE_READ(i32, double, level, target)                                   \
    DEFINE_READ(f16, double, level, target)                                   \
    DEFINE_READ(bf16, double, level, target)                                  \
    DEFINE_READ(f32, double, level, target)                                   \
    DEFINE_READ(f64, double, level, target)                                   \
    DEFINE_WRITE(f32, f16, uint16_t, fb_half_of_float, level, target)         \
    DEFINE_WRITE(f32, bf16, uint16_t, fb_bfloat_of_float, level, target)      \
    DEFINE_WRITE(f64, f32, float, NARROWED, level, target)                    \
    DEFINE_WRITE(f64, f16, uint16_t, HALF_OF_DOUBLE, level, target)           \
    DEFINE_WRITE(f64, bf16, uint16_t, BFLOAT_OF_DOUBLE, level, target)
DEFINE_LEVEL(baseline, FB_TARGET_BASELINE, ONE_LOOP)
DEFINE_LEVEL(avx2, FB_TARGET_AVX2, ONE_LOOP)
DEFINE_LEVEL(avx512, FB_TARGET_AVX512, BYTE_LOOP)

typedef struct reads {
    fb_read plain, uniform, each;
} reads;

#define READS(type, real, level) \
    {read_plain_##type##_##real##_##level, read_uniform_##type##_##real##_##level, read_each_##type##_##real##_##level}
#define FLOAT_READS(level)                                                                                           \
    {READS(u8, float, level),    READS(i8, float, level),  READS(i16, float, level),  READS(u16, float, level),      \
     {NULL, NULL, NULL},         READS(f16, float, level), READS(bf16, float, level), READS(f32, float, level),      \
     {NULL, NULL, NULL}}
#define DOUBLE_READS(level)                                                                                          \
    {READS(u8, double, level),  READS(i8, double, level),  READS(i16, double, level),  READS(u16, double, level),    \
     READS(i32, double, level), READS(f16, double, level), READS(bf16, double, level), READS(f32, double, level),    \
     READS(f64, double, level)}

static const reads float_reads[FB_SIMD_LEVELS][FB_TYPES] = {FLOAT_READS(baseline), FLOAT_READS(avx2),
                                                            FLOAT_READS(avx512)};
static const reads double_reads[FB_SIMD_LEVELS][FB_TYPES] = {DOUBLE_READS(baseline), DOUBLE_READS(avx2),
                                                             DOUBLE_READS(avx512)};

/* By result: float16, bfloat16, float32, float64. */
#define FLOAT_WRITES(level) {write_f32_f16_##level, write_f32_bf16_##level, NULL, NULL}
#define DOUBLE_WRITES(level) {write_f64_f16_##level, write_f64_bf16_##level, write_f64_f32_##level, NULL}

static const fb_write float_writes[FB_SIMD_LEVELS][4] = {FLOAT_WRITES(baseline), FLOAT_WRITES(avx2),
                                                         FLOAT_WRITES(avx512)};
static const fb_write double_writes[FB_SIMD_LEVELS][4] = {DOUBLE_WRITES(baseline), DOUBLE_WRITES(avx2),
                                                          DOUBLE_WRITES(avx512)};

static const size_t type_nbytes[FB_TYPES] = {1, 1, 2, 2, 4, 2, 2, 4, 8};

int fb_cast_begin(fb_cast *cast, enum fb_type from, enum fb_type to, enum fb_simd level) {
    if (to < FB_F16) return 0;
    const int is_double = from == FB_I32 || from == FB_F64 || to == FB_F64;
    const reads *of = is_double ? &double_reads[level][from] : &float_reads[level][from];
    cast->read_plain = of->plain;
    cast->read_uniform = of->uniform;
    cast->read_each = of->each;
    cast->write = is_double ? double_writes[level][to - FB_F16] : float_writes[level][to - FB_F16];
    cast->is_real = from == (is_double ? FB_F64 : FB_F32);
    cast->from_nbytes = type_nbytes[from];
    cast->real_nbytes = is_double ? sizeof(double) : sizeof(float);
    cast->to_nbytes = type_nbytes[to];
    cast->affine.period = 0;
    cast->affine.run = 1;
    cast->affine.centers = cast->affine.scales = NULL;
    return 1;
}

void fb_cast_begin_copy(fb_cast *cast, size_t item_nbytes) {
    memset(cast, 0, sizeof *cast);
    cast->from_nbytes = cast->real_nbytes = cast->to_nbytes = item_nbytes;
}

/* Elements as the numbers that the arithmetic gives. */
static void read_elements(const fb_cast *cast, const char *FB_RESTRICT from, size_t first, size_t n,
                          char *FB_RESTRICT out) {
    const fb_affine *affine = &cast->affine;
    const size_t nbytes = cast->real_nbytes;
    if (affine->period == 0) {
        cast->read_plain(from, NULL, NULL, n, out);
        return;
    }
    if (affine->period == 1) {
        cast->read_uniform(from, affine->centers, affine->scales, n, out);
        return;
    }
    const char *centers = (const char *)affine->centers, *scales = (const char *)affine->scales;
    size_t number = first / affine->run % affine->period, done = 0;
    size_t there = affine->run == 1 ? affine->period - number : affine->run - first % affine->run;
    while (done < n) {
        const size_t here = there < n - done ? there : n - done;
        const fb_read read = affine->run == 1 ? cast->read_each : cast->read_uniform;
        read(from + done * cast->from_nbytes, centers + number * nbytes, scales + number * nbytes, here,
             out + done * nbytes);
        done += here;
        number = affine->run == 1 || number + 1 == affine->period ? 0 : number + 1;
        there = affine->run == 1 ? affine->period : affine->run;
    }
}

void fb_cast_elements(const fb_cast *cast, const char *FB_RESTRICT from, size_t first, size_t n, char *FB_RESTRICT out) {
    if (cast->read_plain == NULL) {
        memcpy(out, from, n * cast->from_nbytes);
        return;
    }
    if (cast->write == NULL) {
        read_elements(cast, from, first, n, out);
        return;
    }
    if (cast->affine.period == 0 && cast->is_real) {
        cast->write(from, n, out);
        return;
    }
    double numbers[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        const size_t here = n - done < BLOCK ? n - done : BLOCK;
        read_elements(cast, from + done * cast->from_nbytes, first + done, here, (char *)numbers);
        cast->write(numbers, here, out + done * cast->to_nbytes);
    }
}
