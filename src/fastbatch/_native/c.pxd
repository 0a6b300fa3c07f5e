"""The C layer, as csrc/ declares it: see the headers for what each function needs and promises."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "fb_base.h" nogil:
    ctypedef int (*fb_poll_function)(void *argument) noexcept nogil

    ctypedef struct fb_poll:
        fb_poll_function function
        void *argument


cdef extern from "fb_simd.h" nogil:
    enum fb_simd:
        FB_SIMD_LEVELS

    const char *FB_SIMD_LOWEST
    fb_simd fb_simd_supported()


cdef extern from "fb_random.h" nogil:
    enum:
        FB_ORDER_VERSION
        FB_BLOCK

    ctypedef struct fb_key:
        uint64_t word[2]

    ctypedef struct fb_seed:
        uint64_t word[4]

    ctypedef struct fb_sfc64:
        pass

    fb_seed fb_derive(fb_key root, uint64_t epoch, uint64_t stream, uint64_t unit, uint64_t part)
    fb_sfc64 fb_sfc64_begin(fb_seed seed)
    uint64_t fb_next(fb_sfc64 *rng)
    void fb_draw_descending(fb_sfc64 *rng, uint64_t bound, size_t count, uint64_t *out)


cdef extern from "fb_permutation.h" nogil:
    const uint64_t FB_ONE_UNIT_ROWS

    ctypedef struct fb_permutation:
        uint64_t starts[1]  # really as many as there are units, and one

    int fb_permutation_begin(fb_permutation *permutation, void *rows, size_t row_nbytes, uint64_t n_rows, fb_key key,
                             uint64_t epoch, fb_poll poll)
    uint64_t fb_permutation_n_units(const fb_permutation *permutation)
    int fb_permutation_prepare(const fb_permutation *permutation, uint64_t unit, fb_poll poll)


cdef extern from "fb_sampler.h" nogil:
    enum:
        FB_NO_MEMORY

    const uint64_t FB_NARROW_ROWS

    ctypedef struct fb_sampler:
        uint64_t n_rows
        uint64_t length
        int wide
        int consecutive
        int (*begin)(const fb_sampler *sampler, fb_key key, uint64_t epoch, fb_poll poll, void **state) noexcept nogil
        uint64_t (*n_units)(const void *state) noexcept nogil
        uint64_t (*unit_of)(const void *state, uint64_t position) noexcept nogil
        int (*prepare)(void *state, uint64_t unit, fb_poll poll) noexcept nogil
        void (*draw)(void *state, uint64_t position, void *out, size_t n) noexcept nogil
        void (*end)(void *state) noexcept nogil
        void (*weigh)(void *state, uint64_t position, const void *rows, float *out, size_t n) noexcept nogil
        int (*turn)(void *state, uint64_t ticket, int waits) noexcept nogil

    int fb_count_up(int wide, uint64_t first, void *out, uint64_t n, fb_poll poll)


cdef extern from "fb_sequential.h" nogil:
    fb_sampler fb_sequential(uint64_t n_rows)


cdef extern from "fb_shuffled.h" nogil:
    fb_sampler fb_shuffled(uint64_t n_rows)


cdef extern from "fb_streamed.h" nogil:
    const uint64_t FB_BIJECTION_MIN_ROWS
    const uint64_t FB_BIJECTION_ROWS_END

    ctypedef struct fb_streamed:
        fb_sampler sampler

    fb_streamed fb_streamed_of(uint64_t n_rows, fb_simd level)


cdef extern from "fb_blocks.h" nogil:
    ctypedef struct fb_blocks:
        fb_sampler sampler

    fb_blocks fb_blocks_of(uint64_t n_rows, uint64_t block_rows, uint64_t window)


cdef extern from "fb_given.h" nogil:
    ctypedef struct fb_given:
        fb_sampler sampler
        const void *rows

    void fb_given_init(fb_given *given)


cdef extern from "fb_subset.h" nogil:
    ctypedef struct fb_subset:
        fb_sampler sampler
        const fb_sampler *inner
        const void *rows

    void fb_subset_init(fb_subset *subset)


cdef extern from "fb_passes.h" nogil:
    ctypedef struct fb_classes:
        uint32_t n_classes
        int wide
        uint64_t n_members
        const void *members
        const uint64_t *starts


cdef extern from "fb_perclass.h" nogil:
    ctypedef struct fb_perclass:
        fb_sampler sampler
        fb_classes classes
        uint64_t n_together
        uint64_t rows_of_each

    void fb_perclass_init(fb_perclass *perclass)


cdef extern from "fb_balanced.h" nogil:
    ctypedef struct fb_balanced:
        fb_sampler sampler
        fb_classes classes
        const uint64_t *shares
        uint64_t total_share

    void fb_balanced_init(fb_balanced *balanced)
    void fb_group_rows(const uint32_t *codes, uint64_t n_rows, uint32_t n_classes, int wide, uint64_t *starts,
                       void *members)


cdef extern from "fb_alias.h" nogil:
    const uint64_t FB_ALIAS_ROWS_END
    enum:
        FB_NO_WEIGHT
        FB_BAD_WEIGHT

    ctypedef uint64_t fb_alias_cell

    int fb_check_weights(const void *weights, uint64_t n_rows, uint64_t *bad_row)
    void fb_quantise_weights(void *weights, uint64_t n_rows)
    int fb_alias_build(const uint64_t *weights, uint64_t n_rows, fb_alias_cell *cells, fb_poll poll)
    void fb_alias_weights(const fb_alias_cell *cells, uint64_t n_rows, uint64_t *weights)


cdef extern from "fb_weighted.h" nogil:
    ctypedef struct fb_weighted:
        fb_sampler sampler
        const fb_alias_cell *cells

    void fb_weighted_init(fb_weighted *weighted)


cdef extern from "fb_race.h" nogil:
    ctypedef struct fb_race:
        fb_sampler sampler
        uint64_t n_runners
        const double *log_weights
        const uint32_t *runners

    void fb_race_init(fb_race *race)
    void fb_log_weights(const double *values, uint64_t n, double *out)


cdef extern from "fb_curriculum.h" nogil:
    ctypedef struct fb_curriculum:
        fb_sampler sampler
        const uint32_t *rows
        const uint64_t *sums
        const uint32_t *guide
        const float *importances
        const uint64_t *starts
        const uint64_t *eligible
        const double *scales
        size_t n_steps

    void fb_curriculum_init(fb_curriculum *curriculum)
    void fb_curriculum_guide(const uint64_t *sums, uint64_t n, uint32_t *guide)


cdef extern from "fb_length_sort.h" nogil:
    ctypedef struct fb_lengths:
        const uint32_t *of_rows
        unsigned bits

    void fb_sort_by_length(const fb_lengths *lengths, int longest_first, uint32_t *rows, uint32_t *sorted, size_t n)


cdef extern from "fb_bucketed.h" nogil:
    ctypedef struct fb_bucketed:
        fb_sampler sampler
        fb_lengths lengths
        uint64_t window
        uint64_t block_rows
        fb_simd level

    void fb_bucketed_init(fb_bucketed *bucketed)


cdef extern from "fb_token_budget.h" nogil:
    ctypedef struct fb_token_budget:
        uint64_t n_rows
        fb_lengths lengths
        uint64_t tokens
        uint64_t max_rows
        uint64_t multiple
        uint64_t window

    int fb_token_budget_cut(const fb_token_budget *budget, fb_key key, uint64_t epoch, uint32_t *rows,
                            uint32_t *scratch, uint32_t *ends, uint64_t *n_batches, fb_poll poll)
    int fb_token_budget_deal(const fb_token_budget *budget, fb_key key, uint64_t epoch, const uint32_t *rows,
                             const uint32_t *ends, uint64_t n_batches, uint32_t *order, uint32_t *out,
                             uint64_t *starts, fb_poll poll)


cdef extern from "fb_sum_tree.h" nogil:
    const uint64_t FB_SUM_TREE_ROWS_END
    const double FB_SUM_TREE_WEIGHTS_END


cdef extern from "fb_column.h" nogil:
    ctypedef struct fb_rows:
        const void *index
        size_t n
        size_t n_ahead
        size_t n_warm
        int wide
        int consecutive
        const float *weights

    ctypedef struct fb_context:
        uint64_t key[2]
        uint64_t epoch
        uint64_t position

    ctypedef struct fb_column:
        uint64_t (*fill)(const fb_column *column, const fb_rows *rows, void *slot,
                         const fb_context *context) noexcept nogil
        size_t row_nbytes
        int wants_weights
        int whole
        size_t tail_nbytes

    ctypedef struct fb_extent:
        int64_t size
        uint64_t nbytes

    fb_extent fb_load_extent(const fb_column *column, void *slot, size_t n)


cdef extern from "fb_importance.h" nogil:
    uint64_t fb_importance_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_valid.h" nogil:
    ctypedef struct fb_valid_column:
        fb_column column
        uint64_t length

    uint64_t fb_valid_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_gather.h" nogil:
    ctypedef struct fb_source:
        const char *rows
        int64_t stride
        size_t row_nbytes
        uint64_t n_rows

    ctypedef struct fb_gather_column:
        fb_column column
        fb_source source

    const char *fb_prefetching(const fb_source *source)
    void fb_gather(const fb_source *source, const fb_rows *rows, char *out)
    uint64_t fb_gather_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_row_number_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_cast.h" nogil:
    enum fb_type:
        FB_U8
        FB_I8
        FB_I16
        FB_U16
        FB_I32
        FB_F16
        FB_BF16
        FB_F32
        FB_F64

    ctypedef struct fb_affine:
        size_t period
        size_t run
        const void *centers
        const void *scales

    ctypedef struct fb_cast:
        size_t from_nbytes
        size_t real_nbytes
        size_t to_nbytes
        fb_affine affine

    int fb_cast_begin(fb_cast *cast, fb_type source, fb_type to, fb_simd level)
    void fb_cast_begin_copy(fb_cast *cast, size_t item_nbytes)
    void fb_cast_elements(const fb_cast *cast, const char *source, size_t first, size_t n, char *out)


cdef extern from "fb_cast_column.h" nogil:
    ctypedef struct fb_cast_column:
        fb_column column
        fb_source source
        fb_cast cast
        size_t n_elements

    uint64_t fb_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_moments.h" nogil:
    ctypedef struct fb_moments:
        const double *center
        double *offset
        double *deviations
        double *low
        double *high
        uint64_t n

    void fb_moments_add(fb_moments *moments, fb_type type, fb_simd level, const char *rows, int64_t stride,
                        uint64_t n_rows, size_t n_columns)


cdef extern from "fb_pixels.h" nogil:
    ctypedef struct fb_pixels:
        pass

    int fb_pixels_begin(fb_pixels *pixels, size_t item_nbytes, fb_simd level)


cdef extern from "fb_image.h" nogil:
    enum:
        FB_MAX_CHANNELS

    enum fb_padding:
        FB_PAD_ZERO
        FB_PAD_REFLECT

    ctypedef struct fb_image_column:
        fb_column column
        fb_source source
        fb_cast cast
        fb_pixels pixels
        size_t height
        size_t width
        size_t n_channels
        int is_planar
        int to_planar
        size_t out_height
        size_t out_width
        size_t padding
        fb_padding padding_mode
        int is_random
        size_t top
        size_t left
        uint64_t mirrored
        uint64_t upside_down
        size_t hole
        int pads_with_zeros
        const char *pad_pixel
        const char *hole_pixel

    uint64_t fb_image_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_resize.h" nogil:
    enum:
        FB_RESIZE_LINES
        FB_RESIZE_MAX_SHRINK

    enum fb_pixel:
        FB_PIXEL_U8
        FB_PIXEL_F32
        FB_PIXEL_F16
        FB_PIXEL_BF16
        FB_PIXEL_F64

    size_t fb_pixel_nbytes(fb_pixel kind)

    ctypedef struct fb_resize:
        size_t height
        size_t width
        size_t channels
        int64_t stride
        double left
        double top
        double right
        double bottom
        size_t out_height
        size_t out_width
        int flip
        int planar
        fb_pixel source
        fb_pixel result

    ctypedef struct fb_resize_tile:
        size_t x
        size_t n_pixels
        size_t channel
        size_t n_channels

    void fb_resize_begin(fb_resize_tile *tile, const fb_resize *resize)
    int fb_resize_next(fb_resize_tile *tile)
    const void *fb_resize_lines(fb_resize_tile *tile, fb_simd level, const void *image, size_t y)


cdef extern from "fb_resized.h" nogil:
    enum:
        FB_RESIZED_RATIOS

    ctypedef struct fb_resized_column:
        fb_image_column image
        fb_pixel pixel
        fb_simd level
        double least_area
        double most_area
        const float *ratios

    uint64_t fb_resized_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_mix.h" nogil:
    enum fb_mixing:
        FB_MIX_ROWS
        FB_MIX_BOX
        FB_MIX_BY_BOX

    ctypedef void (*fb_mix_pair)(char *row, char *other, size_t n, double share)

    ctypedef struct fb_mix_column:
        fb_column column
        const fb_column *inner
        fb_mixing mixing
        double alpha
        uint64_t chance
        fb_mix_pair pair
        size_t n_elements
        size_t height
        size_t width
        size_t n_planes
        size_t pixel_nbytes

    fb_mix_pair fb_mix_pair_of(fb_type type, fb_simd level)
    uint64_t fb_mix_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_one_hot.h" nogil:
    ctypedef struct fb_one_hot_column:
        fb_column column
        fb_source source
        size_t item_nbytes
        int is_signed
        uint64_t n_classes
        size_t value_nbytes
        char on[8]
        char off[8]

    uint64_t fb_one_hot_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_joined.h" nogil:
    ctypedef struct fb_joined_column:
        fb_column column
        const fb_column **parts
        const uint64_t *starts
        size_t n_parts

    uint64_t fb_joined_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_indexed.h" nogil:
    ctypedef struct fb_indexed_column:
        fb_column column
        const fb_column *inner
        const void *rows
        int inner_wide

    uint64_t fb_indexed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_ragged.h" nogil:
    enum:
        FB_PAD_NBYTES

    ctypedef struct fb_ragged:
        const char *elements
        size_t start_nbytes
        size_t element_nbytes
        const int64_t *starts
        const int64_t *lengths
        int64_t most
        size_t n_lines
        size_t n_ahead

    void fb_ragged_look_ahead(fb_ragged *ragged, uint64_t n_rows, uint64_t nbytes)

    ctypedef struct fb_ragged_cast:
        fb_cast cast
        size_t n_numbers
        size_t nbytes

    ctypedef struct fb_ragged_column:
        fb_column column
        fb_ragged ragged
        fb_ragged_cast cast

    ctypedef struct fb_padded_column:
        fb_column column
        fb_ragged ragged
        size_t multiple
        size_t width
        int is_left
        int is_even
        fb_simd level
        char pad[1]  # really FB_PAD_NBYTES
        fb_ragged_cast cast

    uint64_t fb_padded_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_padded_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_mask_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_lengths_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_packed_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_packed_cast_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_bounds_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_concat.h" nogil:
    ctypedef struct fb_concat_column:
        fb_column column
        const fb_source *parts
        const uint64_t *starts
        size_t n_parts

    uint64_t fb_concat_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_native.h" nogil:
    const char *FASTBATCH_FILL_CAPSULE

    ctypedef int64_t (*fastbatch_fill)(const void *state, const int64_t *rows, int64_t n, void *out, uint64_t seed,
                                       uint64_t epoch, uint64_t position) noexcept nogil

    ctypedef struct fb_native_column:
        fb_column column
        fastbatch_fill function
        const void *state

    uint64_t fb_native_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)


cdef extern from "fb_first_fit.h" nogil:
    uint64_t fb_first_fit_most_rows(uint64_t n, uint64_t total, uint64_t context)
    uint64_t fb_first_fit_n_nodes(uint64_t n_rows)
    uint64_t fb_first_fit(const fb_lengths *lengths, const uint32_t *order, uint64_t n, uint32_t context,
                          uint64_t n_nodes, uint32_t *tree, uint32_t *row_of)
    void fb_first_fit_group(const uint32_t *order, const uint32_t *row_of, uint64_t n, uint64_t n_rows,
                            uint64_t *starts, uint32_t *sequences)


cdef extern from "fb_packed_rows.h" nogil:
    ctypedef struct fb_packed_rows:
        fb_column column
        fb_ragged sequences
        const uint64_t *starts
        uint64_t context
        int is_even
        char pad[FB_PAD_NBYTES]

    uint64_t fb_packed_values_fill(const fb_column *column, const fb_rows *rows, void *slot, const fb_context *context)
    uint64_t fb_packed_positions_fill_64(const fb_column *column, const fb_rows *rows, void *slot,
                                         const fb_context *context)
    uint64_t fb_packed_positions_fill_32(const fb_column *column, const fb_rows *rows, void *slot,
                                         const fb_context *context)
    uint64_t fb_packed_segments_fill_64(const fb_column *column, const fb_rows *rows, void *slot,
                                        const fb_context *context)
    uint64_t fb_packed_segments_fill_32(const fb_column *column, const fb_rows *rows, void *slot,
                                        const fb_context *context)


cdef extern from "fb_index.h" nogil:
    size_t fb_check_rows(const void *index, size_t item_nbytes, int is_signed, size_t n, uint64_t n_rows, int wide,
                         void *out)
