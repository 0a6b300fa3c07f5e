// How an fb::Cursor cuts a batch for those who fill it, for tests/test_filling.py: a column that notes what it is asked.
#include <cstring>

#include "fb_cursor.hpp"

namespace {

struct Noting {
    fb_column column;
    std::size_t sizes[64];
    std::size_t n_calls;
};

std::uint64_t note(const fb_column *column, const fb_rows *rows, void *, const fb_context *) {
    Noting *noting = const_cast<Noting *>(reinterpret_cast<const Noting *>(column));
    noting->sizes[noting->n_calls++] = rows->n;
    return 0;
}

int begin(const fb_sampler *, fb_key, std::uint64_t, fb_poll, void **state) {
    static int nothing;
    *state = &nothing;
    return 0;
}

void draw(void *, std::uint64_t, void *out, std::size_t n) { std::memset(out, 0, n * sizeof(std::uint32_t)); }

void end(void *) {}

}  // namespace

extern "C" {

// Fills one batch of n rows; returns in how many parts, with the rows of each in (64,) sizes.
std::size_t fill_batch(std::size_t n, std::size_t row_nbytes, int whole, std::size_t *sizes) {
    Noting noting = {};
    noting.column.fill = note;
    noting.column.row_nbytes = row_nbytes;
    noting.column.whole = whole;
    Noting other = {};  // is cut as the first one has it
    other.column.fill = note;
    other.column.row_nbytes = 1;
    fb::Engine engine({&noting.column, &other.column}, {1, 1}, {fb::default_allocator(), fb::default_allocator()}, 1, 0,
                      1, fb::Pace::Policy::kNever, false);
    fb_sampler sampler = {};
    sampler.n_rows = sampler.length = n;
    sampler.begin = begin;
    sampler.draw = draw;
    sampler.end = end;
    void *order = nullptr;
    begin(&sampler, {}, 0, {}, &order);
    fb::Cursor cursor(engine, sampler, order, {}, n, fb::Share(0, 1, 1, false), false, false, 0);
    fb::Buffer *buffers[2];
    fb::Batch batch;
    batch.buffers = buffers;
    if (cursor.next(batch) != fb::Status::kOk || batch.n != n) return 0;
    for (fb::Buffer *buffer : buffers) fb::Pool::release(buffer);
    if (other.n_calls != noting.n_calls) return 0;
    std::memcpy(sizes, noting.sizes, sizeof(noting.sizes));
    return noting.n_calls;
}
}
