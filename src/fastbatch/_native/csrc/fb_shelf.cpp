#include "fb_shelf.hpp"

#include <algorithm>

namespace fb {

void Shelf::lend(void *memory, std::size_t nbytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back({memory, nbytes, false, false});
}

void Shelf::recall(void *memory) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Block &block : blocks_)
        if (block.memory == memory && block.is_taken) block.is_recalled = true;
}

std::vector<void *> Shelf::clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<void *> idle;
    idle.reserve(blocks_.size());
    for (const Block &block : blocks_)
        if (!block.is_taken) idle.push_back(block.memory);
    const auto is_idle = [](const Block &block) { return !block.is_taken; };
    blocks_.erase(std::remove_if(blocks_.begin(), blocks_.end(), is_idle), blocks_.end());
    return idle;
}

std::size_t Shelf::take_wanted() noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::size_t wanted = wanted_;
    wanted_ = 0;
    return wanted;
}

bool Shelf::is_done() const noexcept {
    const auto is_taken = [](const Block &block) { return block.is_taken; };
    return is_closed_ && std::none_of(blocks_.begin(), blocks_.end(), is_taken);
}

void Shelf::close() noexcept {
    std::unique_lock<std::mutex> lock(mutex_);
    is_closed_ = true;
    const bool is_last = is_done();
    lock.unlock();
    if (is_last) delete this;
}

void *Shelf::allocate(void *shelf, std::size_t nbytes) noexcept {
    Shelf &self = *static_cast<Shelf *>(shelf);
    const std::lock_guard<std::mutex> lock(self.mutex_);
    Block *best = nullptr;
    for (Block &block : self.blocks_) {
        const bool suffices = !self.is_closed_ && !block.is_taken && block.nbytes >= nbytes;
        if (suffices && (best == nullptr || block.nbytes < best->nbytes)) best = &block;
    }
    if (best == nullptr) {
        self.wanted_ = std::max(self.wanted_, nbytes);
        return nullptr;
    }
    best->is_taken = true;
    return best->memory;
}

void Shelf::free(void *shelf, void *memory, std::size_t) noexcept {
    Shelf &self = *static_cast<Shelf *>(shelf);
    std::unique_lock<std::mutex> lock(self.mutex_);
    // The framework may have lent the memory of a recalled block once more before its shell is gone: both are taken.
    auto block = std::find_if(self.blocks_.begin(), self.blocks_.end(),
                              [=](const Block &taken) { return taken.memory == memory && taken.is_taken; });
    if (block == self.blocks_.end()) return;
    if (block->is_recalled)
        self.blocks_.erase(block);
    else
        block->is_taken = false;
    const bool is_last = self.is_done();
    lock.unlock();
    if (is_last) delete &self;
}

}  // namespace fb
