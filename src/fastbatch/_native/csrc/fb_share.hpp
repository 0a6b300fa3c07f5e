// Ranks: which rows of a global batch are whose.
//
// The global batch is the next batch_size x n_ranks rows of the order. Each rank has its own contiguous slice of them, so
// that all ranks together have the order of one, and each of them as many batches as the others.
#ifndef FB_SHARE_HPP
#define FB_SHARE_HPP

#include <cstddef>
#include <cstdint>

namespace fb {

// Of a global batch that begins at a position.
struct Cut {
    bool exists = false;      // whether there is a row for anybody
    std::uint64_t first = 0;  // position of this rank's first row; from the epoch's length on they begin anew
    std::size_t n = 0;        // rows of this rank
    std::uint64_t end = 0;    // position after the rows of all ranks
};

class Share {
  public:
    // `unit` rows stay together; an epoch has a multiple of them, and so has a batch. `is_exact`: where the last ones do
    // not divide evenly, some ranks have one more; else the first ones of the order come once more, so that all have
    // equally many.
    Share(std::uint64_t rank, std::uint64_t n_ranks, std::uint64_t unit, bool is_exact) noexcept
        : rank_(rank), n_ranks_(n_ranks), unit_(unit), is_exact_(is_exact) {}

    bool is_whole() const noexcept { return n_ranks_ == 1; }
    std::uint64_t n_ranks() const noexcept { return n_ranks_; }

    Cut cut(std::uint64_t position, std::size_t batch_size, std::uint64_t length) const noexcept {
        if (position >= length) return {};
        const std::uint64_t left = length - position;
        if (is_whole()) {
            const std::size_t n = left < batch_size ? static_cast<std::size_t>(left) : batch_size;
            return {true, position, n, position + n};
        }
        if (left / n_ranks_ >= batch_size)
            return {true, position + rank_ * batch_size, batch_size, position + n_ranks_ * batch_size};
        // near-evenly: the last batch of each
        const std::uint64_t units = left / unit_ + (left % unit_ > 0), each = units / n_ranks_, over = units % n_ranks_;
        if (!is_exact_) {
            const std::uint64_t n = (each + (over > 0)) * unit_;
            return {true, position + rank_ * n, static_cast<std::size_t>(n), length};
        }
        const std::uint64_t before = rank_ * each + (rank_ < over ? rank_ : over);
        return {true, position + before * unit_, static_cast<std::size_t>((each + (rank_ < over)) * unit_), length};
    }

  private:
    std::uint64_t rank_, n_ranks_, unit_;
    bool is_exact_;
};

}  // namespace fb

#endif
