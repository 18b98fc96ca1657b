// SPDX-License-Identifier: Apache-2.0
#include "lua/shared_dict.hpp"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <utility>

#include "lua/current.hpp"
#include "net/cached_clock.hpp"

namespace troupe::lua {
namespace {

constexpr int most_victims = 30;
constexpr std::uint32_t first_buckets = 16;
constexpr std::size_t unit = 128;  // No entry is smaller, all lie at multiples of it.

// What nginx takes for an entry and for an element of a list beside their bytes.
constexpr std::size_t entry_cost = 68;
constexpr std::size_t element_cost = 21;
constexpr std::size_t list_cost = 16;

constexpr std::int64_t never = 0;
constexpr std::int64_t long_ago = -1;

std::uint64_t read_word(const char* from, std::size_t bytes) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, bytes);
  return word;
}

std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::size_t bytes_of(const dict_value& value) noexcept {
  if (const auto* text = std::get_if<std::string_view>(&value)) return text->size();
  return std::holds_alternative<double>(value) ? sizeof(double) : 1;
}

}  // namespace

struct shared_dict::entry {
  entry* next;  // In its bucket.
  entry* newer;
  entry* older;
  std::int64_t expires;
  union {
    double number;  // Also of a boolean.
    struct {
      element* left;
      element* right;
    } ends;
  };
  std::uint32_t hash;
  std::uint32_t value_bytes;  // Of a list: its length.
  std::int32_t flags;
  std::uint16_t key_bytes;
  kind what;

  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view key() noexcept { return {bytes(), key_bytes}; }
  [[nodiscard]] char* text() noexcept { return bytes() + key_bytes; }

  void assign(const dict_value& value) noexcept {
    value_bytes = static_cast<std::uint32_t>(bytes_of(value));
    if (const auto* words = std::get_if<std::string_view>(&value)) {
      what = kind::text;
      if (!words->empty()) std::memcpy(text(), words->data(), words->size());
    } else if (const auto* n = std::get_if<double>(&value)) {
      what = kind::number;
      number = *n;
    } else {
      what = kind::boolean;
      number = std::get<bool>(value) ? 1 : 0;
    }
  }
};

struct shared_dict::element {
  element* left;
  element* right;
  std::uint32_t bytes;
  kind what;
  [[nodiscard]] char* text() noexcept { return reinterpret_cast<char*>(this) + element_cost; }
};

// Most operations need no time: it is asked for when the first life is looked at.
class shared_dict::now_once {
 public:
  explicit now_once(clock read) noexcept : read_(read) {}
  std::int64_t operator()() noexcept {
    if (ms_ < 0) ms_ = read_();
    return ms_;
  }
  bool is_past(std::int64_t expires) noexcept { return expires != never && expires <= (*this)(); }
  std::int64_t after(std::int64_t life_ms) noexcept {
    return life_ms > 0 ? (*this)() + life_ms : never;
  }

 private:
  clock read_;
  std::int64_t ms_ = -1;
};

void shared_dict::brief_mutex::lock() noexcept {
  for (int tries = 0; tries < 200; ++tries) {
    if (mutex_.try_lock()) return;
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
  }
  mutex_.lock();
}

std::int64_t shared_dict::cached_ms() {
  if (current.clock != nullptr) return current.clock->monotonic_ms();
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

shared_dict::shared_dict(std::string name, std::size_t capacity, clock now)
    : name_(std::move(name)), capacity_(capacity), now_(now), slab_(capacity) {
  static_assert(sizeof(entry) <= entry_cost && sizeof(entry) + 4 <= unit);
  static_assert(offsetof(element, what) + 1 <= element_cost);
  // Keys may come from clients: without the seed they could choose ones that fall together.
  if (::getrandom(&seed_, sizeof seed_, 0) != sizeof seed_) {
    seed_ = reinterpret_cast<std::uintptr_t>(this) ^ static_cast<std::uint64_t>(cached_ms());
  }
  open();
}

void shared_dict::open() noexcept {
  // nginx keeps the zone's own record and the words for its log lines in the zone.
  (void)slab_.take(80);
  (void)slab_.take(28 + name_.size());

  bucket_room_ = std::max<std::size_t>(slab_.pages() * (slab::page_bytes / unit), first_buckets);
  void* room = ::mmap(nullptr, bucket_room_ * sizeof *buckets_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return;  // Then no entry can be made.
  buckets_ = static_cast<std::uint32_t*>(room);
  bucket_count_ = first_buckets;
  whole_rounds_ = first_buckets - 1;
}

shared_dict::~shared_dict() {
  if (buckets_ != nullptr) ::munmap(buckets_, bucket_room_ * sizeof *buckets_);
}

std::size_t shared_dict::capacity() const noexcept {
  const guard lock(mutex_);
  return capacity_;
}

std::size_t shared_dict::free_space() const noexcept {
  const guard lock(mutex_);
  return slab_.free_pages() * slab::page_bytes;
}

// Its size
// ------------------------------------------------------------------------------------------

std::size_t shared_dict::resize(std::size_t capacity) noexcept {
  now_once now(now_);
  const guard lock(mutex_);
  if (capacity == capacity_) return 0;
  slab old_slab(capacity);
  slab_.swap(old_slab);
  std::uint32_t* const old_buckets = std::exchange(buckets_, nullptr);
  const std::size_t old_room = bucket_room_;
  entry* next = newest_;
  newest_ = oldest_ = nullptr;
  entry_count_ = 0;
  capacity_ = capacity;
  open();
  std::size_t dropped = 0;
  for (entry* at = next; at != nullptr; at = at->older) {
    if (now.is_past(at->expires)) continue;
    // What was used longer ago than one without room goes too, as it would by and by.
    if (dropped > 0 || !copy_from(*at)) ++dropped;
  }
  if (old_buckets != nullptr) ::munmap(old_buckets, old_room * sizeof *old_buckets);
  return dropped;
}

// Copies an entry that lies in another slab to the old end.
bool shared_dict::copy_from(entry& from) noexcept {
  if (buckets_ == nullptr) return false;
  const bool is_list = from.what == kind::list;
  const std::size_t padding = (8 - (entry_cost + from.key_bytes) % 8) % 8;
  const std::size_t bytes = is_list                    ? list_cost + padding
                            : from.what == kind::text ? from.value_bytes
                            : from.what == kind::number ? sizeof(double)
                                                        : 1;
  auto* e = static_cast<entry*>(slab_.take(entry_cost + from.key_bytes + bytes));
  if (e == nullptr) return false;
  std::memcpy(static_cast<void*>(e), &from,
              sizeof(entry) + from.key_bytes + (from.what == kind::text ? from.value_bytes : 0));
  if (is_list) {
    e->ends = {nullptr, nullptr};
    element* last = nullptr;
    for (element* at = from.ends.left; at != nullptr; at = at->right) {
      auto* made = static_cast<element*>(slab_.take(element_cost + at->bytes));
      if (made == nullptr) {
        drop_elements(*e);
        slab_.give_back(e);
        return false;
      }
      std::memcpy(static_cast<void*>(made), at, element_cost + at->bytes);
      made->left = last;
      made->right = nullptr;
      (last != nullptr ? last->right : e->ends.left) = made;
      last = made;
    }
    e->ends.right = last;
  }
  index(*e);
  e->newer = oldest_;
  e->older = nullptr;
  (oldest_ != nullptr ? oldest_->older : newest_) = e;
  oldest_ = e;
  return true;
}

// The index
// -----------------------------------------------------------------------------------------

std::uint32_t shared_dict::hash_of(std::string_view key) const noexcept {
  constexpr std::uint64_t a = 0x9e3779b97f4a7c15, b = 0xd6e8feb86659fd93;
  const char* at = key.data();
  std::size_t left = key.size();
  std::uint64_t state = seed_ ^ fold(left ^ a, b);
  for (; left > 16; at += 16, left -= 16) {
    state = fold(read_word(at, 8) ^ a ^ state, read_word(at + 8, 8) ^ b);
  }
  std::uint64_t low = 0, high = 0;
  if (left >= 8) {
    low = read_word(at, 8);
    high = read_word(at + left - 8, 8);
  } else if (left >= 4) {
    low = read_word(at, 4);
    high = read_word(at + left - 4, 4);
  } else if (left > 0) {
    low = static_cast<unsigned char>(at[0]);
    high = std::uint64_t{static_cast<unsigned char>(at[left / 2])} << 8 |
           static_cast<unsigned char>(at[left - 1]);
  }
  return static_cast<std::uint32_t>(fold(fold(low ^ a ^ state, high ^ b ^ seed_), a));
}

std::uint32_t shared_dict::bucket_of(std::uint32_t hash) const noexcept {
  const std::uint32_t at = hash & (whole_rounds_ * 2 + 1);
  return at < bucket_count_ ? at : at & whole_rounds_;
}

shared_dict::entry* shared_dict::first_in(std::uint32_t bucket) const noexcept {
  const std::uint32_t number = buckets_[bucket];
  if (number == 0) return nullptr;
  return reinterpret_cast<entry*>(slab_.begin() + (number - 1) * unit);
}

void shared_dict::set_first(std::uint32_t bucket, entry* e) noexcept {
  buckets_[bucket] =
      e == nullptr
          ? 0
          : static_cast<std::uint32_t>((reinterpret_cast<char*>(e) - slab_.begin()) / unit + 1);
}

void shared_dict::index(entry& e) noexcept {
  if (++entry_count_ > bucket_count_ && bucket_count_ < bucket_room_) {
    // The next bucket gets its share of the one that stood for both.
    const std::uint32_t from = bucket_count_ & whole_rounds_;
    const std::uint32_t to = bucket_count_++;
    entry* moving = first_in(from);
    set_first(from, nullptr);
    while (moving != nullptr) {
      entry* next = moving->next;
      const std::uint32_t at = (moving->hash & (whole_rounds_ * 2 + 1)) == to ? to : from;
      moving->next = first_in(at);
      set_first(at, moving);
      moving = next;
    }
    if (std::has_single_bit(bucket_count_)) whole_rounds_ = bucket_count_ - 1;
  }
  const std::uint32_t bucket = bucket_of(e.hash);
  e.next = first_in(bucket);
  set_first(bucket, &e);
}

void shared_dict::unindex(entry& e) noexcept {
  --entry_count_;
  const std::uint32_t bucket = bucket_of(e.hash);
  entry* at = first_in(bucket);
  if (at == &e) {
    set_first(bucket, e.next);
    return;
  }
  while (at->next != &e) at = at->next;
  at->next = e.next;
}

shared_dict::entry* shared_dict::find(std::string_view key, std::uint32_t hash) const noexcept {
  if (entry_count_ == 0) return nullptr;
  for (entry* at = first_in(bucket_of(hash)); at != nullptr; at = at->next) {
    if (at->hash == hash && at->key() == key) return at;
  }
  return nullptr;
}

// The order of use
// ----------------------------------------------------------------------------------

void shared_dict::link_newest(entry& e) noexcept {
  e.newer = nullptr;
  e.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &e;
  newest_ = &e;
}

void shared_dict::unlink(entry& e) noexcept {
  (e.newer != nullptr ? e.newer->older : newest_) = e.older;
  (e.older != nullptr ? e.older->newer : oldest_) = e.newer;
}

void shared_dict::touch(entry& e) noexcept {
  if (newest_ == &e) return;
  unlink(e);
  link_newest(e);
}

// Entries
// -------------------------------------------------------------------------------------------

void shared_dict::drop_elements(entry& e) noexcept {
  for (element* at = e.ends.left; at != nullptr;) {
    element* next = at->right;
    slab_.give_back(at);
    at = next;
  }
  e.ends = {nullptr, nullptr};
  e.value_bytes = 0;
}

void shared_dict::erase(entry& e) noexcept {
  if (e.what == kind::list) drop_elements(e);
  unlink(e);
  unindex(e);
  slab_.give_back(&e);
}

// Frees up to two expired entries at the old end, by force the oldest before them.
int shared_dict::reclaim(now_once& now, bool by_force) noexcept {
  int freed = 0;
  if (by_force && oldest_ != nullptr) {
    erase(*oldest_);
    ++freed;
  }
  for (int i = 0; i < 2 && oldest_ != nullptr && now.is_past(oldest_->expires); ++i) {
    erase(*oldest_);
    ++freed;
  }
  return freed;
}

shared_dict::entry* shared_dict::make(std::string_view key, std::uint32_t hash, std::size_t bytes,
                                      bool evict, bool& forcible, now_once& now) noexcept {
  if (buckets_ == nullptr || key.size() > longest_key) return nullptr;
  const std::size_t cost = entry_cost + key.size() + bytes;
  void* room = slab_.take(cost);
  for (int victims = 0; room == nullptr; ++victims) {
    if (!evict || victims == most_victims || reclaim(now, true) == 0) return nullptr;
    forcible = true;
    room = slab_.take(cost);
  }
  auto* e = static_cast<entry*>(room);
  e->hash = hash;
  e->key_bytes = static_cast<std::uint16_t>(key.size());
  e->flags = 0;
  e->expires = never;
  std::memcpy(e->bytes(), key.data(), key.size());
  index(*e);
  link_newest(*e);
  return e;
}

tl::expected<void, dict_errc> shared_dict::get(std::string_view key, std::span<char> room,
                                               found& result, bool with_expired) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  if (!with_expired) reclaim(now, false);
  entry* e = find(key, hash);
  if (e == nullptr) return tl::unexpected(dict_errc::not_found);
  result.is_stale = now.is_past(e->expires);
  if (result.is_stale && !with_expired) return tl::unexpected(dict_errc::not_found);
  if (!result.is_stale) touch(*e);
  result.what = e->what;
  result.flags = e->flags;
  switch (e->what) {
    case kind::list:
      return tl::unexpected(dict_errc::is_a_list);
    case kind::text:
      result.text_bytes = e->value_bytes;
      if (e->value_bytes > room.size()) return tl::unexpected(dict_errc::too_small);
      std::memcpy(room.data(), e->text(), e->value_bytes);
      break;
    default:
      result.number = e->number;
      break;
  }
  return {};
}

shared_dict::stored shared_dict::put(mode how, std::string_view key, const dict_value& value,
                                     std::int64_t life_ms, std::int32_t flags,
                                     bool evict) noexcept {
  const std::uint32_t hash = hash_of(key);
  const std::size_t bytes = bytes_of(value);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  entry* e = find(key, hash);
  const bool lives = e != nullptr && !now.is_past(e->expires);
  if (how == mode::add && lives) {
    touch(*e);
    return {dict_errc::exists};
  }
  if (how == mode::replace && !lives) return {dict_errc::not_found};
  if (bytes > UINT32_MAX) return {dict_errc::no_memory};
  stored result;
  if (e != nullptr && e->what != kind::list && e->value_bytes == bytes) {
    touch(*e);
  } else {
    if (e != nullptr) erase(*e);
    e = make(key, hash, bytes, evict, result.forcible, now);
    if (e == nullptr) {
      result.error = dict_errc::no_memory;
      return result;
    }
  }
  e->expires = now.after(life_ms);
  e->flags = flags;
  e->assign(value);
  return result;
}

void shared_dict::remove(std::string_view key) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  if (entry* e = find(key, hash)) erase(*e);
}

shared_dict::incremented shared_dict::increment(std::string_view key, double by, const double* init,
                                                std::int64_t init_life_ms) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  entry* e = find(key, hash);
  if (e != nullptr && !now.is_past(e->expires)) {
    touch(*e);
    if (e->what != kind::number) return {dict_errc::not_a_number};
    e->number += by;
    return {dict_errc{}, false, e->number};
  }
  if (init == nullptr) return {dict_errc::not_found};
  incremented result;
  result.value = *init + by;
  if (e != nullptr && e->what != kind::list && e->value_bytes == sizeof(double)) {
    touch(*e);
  } else {
    if (e != nullptr) erase(*e);
    e = make(key, hash, sizeof(double), true, result.forcible, now);
    if (e == nullptr) {
      result.error = dict_errc::no_memory;
      return result;
    }
  }
  e->expires = now.after(init_life_ms);
  e->flags = 0;
  e->assign(result.value);
  return result;
}

// Lists
// ---------------------------------------------------------------------------------------------

tl::expected<std::size_t, dict_errc> shared_dict::push(end where, std::string_view key,
                                                       const dict_element& value) noexcept {
  const std::uint32_t hash = hash_of(key);
  const auto* text = std::get_if<std::string_view>(&value);
  const std::size_t bytes = text != nullptr ? text->size() : sizeof(double);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  if (bytes > UINT32_MAX) return tl::unexpected(dict_errc::no_memory);
  entry* e = find(key, hash);
  const bool expired = e != nullptr && now.is_past(e->expires);
  if (e != nullptr && e->what != kind::list) {
    if (!expired) return tl::unexpected(dict_errc::not_a_list);
    erase(*e);
    e = nullptr;
  }
  if (e == nullptr) {
    bool forcible = false;
    const std::size_t padding = (8 - (entry_cost + key.size()) % 8) % 8;
    e = make(key, hash, list_cost + padding, false, forcible, now);
    if (e == nullptr) return tl::unexpected(dict_errc::no_memory);
    e->what = kind::list;
    e->ends = {nullptr, nullptr};
    e->value_bytes = 0;
  } else {
    touch(*e);
    if (expired) {
      drop_elements(*e);
      e->expires = never;
    }
  }

  void* room = slab_.take(element_cost + bytes);
  if (room == nullptr) {
    if (e->value_bytes == 0) erase(*e);
    return tl::unexpected(dict_errc::no_memory);
  }
  auto* made = static_cast<element*>(room);
  made->bytes = static_cast<std::uint32_t>(bytes);
  made->what = text != nullptr ? kind::text : kind::number;
  const void* from = text != nullptr ? static_cast<const void*>(text->data())
                                     : static_cast<const void*>(std::get_if<double>(&value));
  if (bytes > 0) std::memcpy(made->text(), from, bytes);
  if (where == end::left) {
    made->left = nullptr;
    made->right = e->ends.left;
    (e->ends.left != nullptr ? e->ends.left->left : e->ends.right) = made;
    e->ends.left = made;
  } else {
    made->right = nullptr;
    made->left = e->ends.right;
    (e->ends.right != nullptr ? e->ends.right->right : e->ends.left) = made;
    e->ends.right = made;
  }
  return ++e->value_bytes;
}

tl::expected<void, dict_errc> shared_dict::pop(end where, std::string_view key,
                                               std::span<char> room, found& result) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  entry* e = find(key, hash);
  if (e == nullptr || now.is_past(e->expires)) return tl::unexpected(dict_errc::not_found);
  touch(*e);
  if (e->what != kind::list) return tl::unexpected(dict_errc::not_a_list);
  element* at = where == end::left ? e->ends.left : e->ends.right;
  result.what = at->what;
  if (at->what == kind::text) {
    result.text_bytes = at->bytes;
    if (at->bytes > room.size()) return tl::unexpected(dict_errc::too_small);
    std::memcpy(room.data(), at->text(), at->bytes);
  } else {
    std::memcpy(&result.number, at->text(), sizeof result.number);
  }
  if (e->value_bytes == 1) {
    erase(*e);
    return {};
  }
  (at->left != nullptr ? at->left->right : e->ends.left) = at->right;
  (at->right != nullptr ? at->right->left : e->ends.right) = at->left;
  --e->value_bytes;
  slab_.give_back(at);
  return {};
}

tl::expected<std::size_t, dict_errc> shared_dict::length(std::string_view key) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  reclaim(now, false);
  entry* e = find(key, hash);
  if (e == nullptr || now.is_past(e->expires)) return 0;
  touch(*e);
  if (e->what != kind::list) return tl::unexpected(dict_errc::not_a_list);
  return e->value_bytes;
}

// Lives
// ---------------------------------------------------------------------------------------------

tl::expected<std::int64_t, dict_errc> shared_dict::time_left(std::string_view key) const noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  const entry* e = find(key, hash);
  if (e == nullptr) return tl::unexpected(dict_errc::not_found);
  if (e->expires == never) return 0;
  // One that expires right now has no time left, but 0 would say that it lives for ever.
  const std::int64_t left = e->expires - now();
  return left != 0 ? left : -1;
}

bool shared_dict::expire(std::string_view key, std::int64_t life_ms) noexcept {
  const std::uint32_t hash = hash_of(key);
  now_once now(now_);
  const guard lock(mutex_);
  entry* e = find(key, hash);
  if (e == nullptr) return false;
  e->expires = now.after(life_ms);
  return true;
}

void shared_dict::flush_all() noexcept {
  now_once now(now_);
  const guard lock(mutex_);
  for (entry* e = oldest_; e != nullptr; e = e->newer) e->expires = long_ago;
  reclaim(now, true);
}

std::size_t shared_dict::flush_expired(std::size_t most) noexcept {
  now_once now(now_);
  const guard lock(mutex_);
  std::size_t freed = 0;
  for (entry* e = oldest_; e != nullptr && (most == 0 || freed < most);) {
    entry* next = e->newer;
    if (now.is_past(e->expires)) {
      erase(*e);
      ++freed;
    }
    e = next;
  }
  return freed;
}

shared_dict::key_list shared_dict::keys(std::size_t most) const {
  key_list result;
  now_once now(now_);
  const guard lock(mutex_);
  for (entry* e = oldest_; e != nullptr && (most == 0 || result.sizes.size() < most);
       e = e->newer) {
    if (now.is_past(e->expires)) continue;
    result.bytes += e->key();
    result.sizes.push_back(e->key_bytes);
  }
  return result;
}

}  // namespace troupe::lua
