/* Memory that is gathered into and drawn from: aligned to a cache line, and on huge pages when large, because 4 KB
 * pages cost 1.3-3x on random access.
 *
 * In a header, because C and C++ files share it. To be included first: it asks the C library for madvise. */
#ifndef FB_MEMORY_H
#define FB_MEMORY_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif

#include <stdint.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <malloc.h>
#elif defined(__linux__)
#include <sys/mman.h>
#endif

#include "fb_base.h"

enum { FB_HUGE_PAGE = 2 * 1024 * 1024 };

/* NULL when there is none left. The contents are undefined. nbytes > 0. */
FB_INLINE void *fb_allocate(size_t nbytes) {
    const size_t huge_page = FB_HUGE_PAGE, line = FB_CACHE_LINE;
    const size_t alignment = nbytes >= huge_page ? huge_page : line;
    if (nbytes > SIZE_MAX - alignment) return NULL;
    const size_t size = (nbytes + alignment - 1) / alignment * alignment;
#if defined(_WIN32)
    return _aligned_malloc(size, alignment);
#else
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, size) != 0) return NULL;
#if defined(MADV_HUGEPAGE)
    if (alignment == huge_page) (void)madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
#endif
}

/* Callable from any thread. */
FB_INLINE void fb_free(void *memory) {
#if defined(_WIN32)
    _aligned_free(memory);
#else
    free(memory);
#endif
}

#endif
