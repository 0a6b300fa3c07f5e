/* The binary interface of DLPack 0.8 (its unversioned structs), as far as CPU memory needs it.
 * https://dmlc.github.io/dlpack/latest/c_api.html */
#ifndef FB_DLPACK_H
#define FB_DLPACK_H

#include <stdint.h>

enum { FB_DLPACK_CPU = 1 };

typedef struct fb_dl_device {
    int32_t device_type;
    int32_t device_id;
} fb_dl_device;

typedef struct fb_dl_type {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} fb_dl_type;

typedef struct fb_dl_tensor {
    void *data;
    fb_dl_device device;
    int32_t ndim;
    fb_dl_type dtype;
    int64_t *shape;
    int64_t *strides; /* in elements */
    uint64_t byte_offset;
} fb_dl_tensor;

typedef struct fb_dl_managed_tensor {
    fb_dl_tensor tensor;
    void *manager;
    void (*deleter)(struct fb_dl_managed_tensor *self);
} fb_dl_managed_tensor;

#endif
