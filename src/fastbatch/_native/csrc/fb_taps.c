#include "fb_taps.h"

fb_axis fb_axis_of(double start, double end, size_t n_out, size_t n) {
    const double scale = (end - start) / (double)(int64_t)n_out, reach = scale > 1 ? scale : 1;
    const fb_axis axis = {start, scale, reach, 1 / reach, n};
    return axis;
}

size_t fb_max_taps(const fb_axis *axis) {
    const size_t n_taps = (size_t)(2 * axis->reach) + 2; /* one of them for rounding */
    return n_taps < axis->n ? n_taps : axis->n;
}

FB_INLINE double weight_at(double distance, double fall) {
    const double weight = 1 - (distance < 0 ? -distance : distance) * fall;
    return weight > 0 ? weight : 0;
}

void fb_weigh(const fb_axis *axis, size_t place, size_t first, size_t n_taps, float *weights) {
    enum { FEW = 1 + FB_TAPS_TOGETHER };
    const double begin = (double)(int64_t)first + 0.5 - fb_centre_of(axis, place);
    double few[FEW], sum = 0;
    if (n_taps <= FEW) { /* so most are: loops of known length, without a branch */
        for (size_t tap = 0; tap < FEW; ++tap) {
            few[tap] = tap < n_taps ? weight_at(begin + (double)(int64_t)tap, axis->fall) : 0;
            sum += few[tap];
        }
        for (size_t tap = 0; tap < FEW; ++tap) weights[tap] = (float)(few[tap] * (1 / sum));
        return;
    }
    for (size_t tap = 0; tap < n_taps; ++tap) sum += weight_at(begin + (double)(int64_t)tap, axis->fall);
    for (size_t tap = 0; tap < n_taps; ++tap)
        weights[tap] = (float)(weight_at(begin + (double)(int64_t)tap, axis->fall) * (1 / sum));
    for (size_t tap = n_taps; tap <= fb_n_weights(n_taps); ++tap) weights[tap] = 0;
}
