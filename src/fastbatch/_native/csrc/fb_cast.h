/* Elements of one type read as numbers, (x - center) * scale, and written as another type, in one pass.
 *
 * The arithmetic is float32, or float64 where the data or the result has numbers that float32 does not (int32,
 * float64); what is written is rounded once more, to the nearest, ties to even. float16 and bfloat16 are converted by
 * integer operations of our own, so that every SIMD path gives the same bits. */
#ifndef FB_CAST_H
#define FB_CAST_H

#include "fb_base.h"
#include "fb_simd.h"

enum fb_type { FB_U8, FB_I8, FB_I16, FB_U16, FB_I32, FB_F16, FB_BF16, FB_F32, FB_F64, FB_TYPES };

/* Which center and scale an element of a row has: number (element / run) % period of them. */
typedef struct fb_affine {
    size_t period; /* 0: there is no arithmetic; 1: all have the same */
    size_t run;
    const void *centers, *scales; /* (period,) of the type of the arithmetic */
} fb_affine;

typedef void (*fb_read)(const char *FB_RESTRICT from, const void *centers, const void *scales, size_t n,
                        void *FB_RESTRICT out);
typedef void (*fb_write)(const void *FB_RESTRICT from, size_t n, char *FB_RESTRICT out);

typedef struct fb_cast {
    fb_read read_plain, read_uniform, read_each; /* without arithmetic; one center and scale; one for each element. All
                                                    NULL: elements stay as they are */
    fb_write write;                              /* NULL: the result has the type of the arithmetic */
    size_t from_nbytes, real_nbytes, to_nbytes;  /* of an element: of the data, the arithmetic and the result */
    int is_real;                                 /* whether the data has the type of the arithmetic */
    fb_affine affine;
} fb_cast;

/* Of results: FB_F32, FB_F16, FB_BF16 and FB_F64; of anything else, returns 0. The affine part is the caller's. */
int fb_cast_begin(fb_cast *cast, enum fb_type from, enum fb_type to, enum fb_simd level);

/* Elements of so many bytes, of whatever type, that stay as they are. */
void fb_cast_begin_copy(fb_cast *cast, size_t item_nbytes);

/* Writes elements [first, first + n) of a row, of which `from` is the first. They need no alignment. */
void fb_cast_elements(const fb_cast *cast, const char *FB_RESTRICT from, size_t first, size_t n, char *FB_RESTRICT out);

#endif
