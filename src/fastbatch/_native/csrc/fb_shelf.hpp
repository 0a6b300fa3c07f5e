// Blocks of memory that somebody lends to a pool.
//
// Pinned memory comes from a framework's allocator, which is Python, and no Python runs under the engine's lock. So
// blocks of it are laid on a shelf ahead of need; what finds none there is told so, and is tried again when there are
// more. A block that goes to a user is recalled: it is the framework's again, and the pool's buffer over it is a shell.
#ifndef FB_SHELF_HPP
#define FB_SHELF_HPP

#include <cstddef>
#include <mutex>
#include <vector>

namespace fb {

// Any thread may call any of it. Lives until its owner has closed it and the last block is back.
class Shelf {
  public:
    // Lays a block down: 64-byte aligned, and valid until `clear` gives it back or, once recalled, `free` was called.
    void lend(void *memory, std::size_t nbytes);

    // A block that was taken does not come back here.
    void recall(void *memory) noexcept;

    // Gives back all blocks that nobody has taken.
    std::vector<void *> clear();

    // The most that was asked for in vain since the last call.
    std::size_t take_wanted() noexcept;

    // The owner's last call.
    void close() noexcept;

    // The functions of an Allocator; the context is the shelf. The smallest block that suffices, or nullptr.
    static void *allocate(void *shelf, std::size_t nbytes) noexcept;
    static void free(void *shelf, void *memory, std::size_t nbytes) noexcept;

  private:
    struct Block {
        void *memory;
        std::size_t nbytes;
        bool is_taken, is_recalled;
    };

    bool is_done() const noexcept;

    std::mutex mutex_;
    std::vector<Block> blocks_;  // a few
    std::size_t wanted_ = 0;
    bool is_closed_ = false;
};

}  // namespace fb

#endif
