// SPDX-License-Identifier: Apache-2.0
//
// Where libzmq's CURVE puts what it encrypts and decrypts. libzmq asks libsodium for it, once or more
// for each message and each handshake, and libsodium makes a mapping of its own with guard pages,
// locks it and unmaps it again: six system calls, of which most interrupt all other threads. They were
// nearly half of all the time of a join of a thousand nodes. A message lies in ordinary memory before
// and after that, and so do the keys, so that nothing is gained by it.
//
// The functions that a program defines itself come before those of the libraries that it loads. They
// are erased when they are let go, as libsodium's are.
//
// Source   libsodium's "Secure memory"; libzmq's src/secure_allocator.hpp.
// Thread   any.
// Errors   nullptr: no memory, which libzmq takes as std::bad_alloc.
// Called   by libzmq.
#include <sodium.h>  // so that they are as it declares them

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

/// In front of each, aligned for anything.
struct alignas(std::max_align_t) header {
  std::size_t bytes;
};

}  // namespace

extern "C" {

void* sodium_malloc(const size_t bytes) {
  if (bytes > SIZE_MAX - sizeof(header)) return nullptr;
  auto* const made = static_cast<header*>(std::malloc(sizeof(header) + bytes));
  if (made == nullptr) return nullptr;
  made->bytes = bytes;
  return made + 1;
}

// What libzmq calls; by a libsodium that is linked otherwise it would not come to the one above.
void* sodium_allocarray(size_t count, size_t bytes) {
  if (bytes != 0 && count > SIZE_MAX / bytes) return nullptr;
  return sodium_malloc(count * bytes);
}

void sodium_free(void* given) {
  if (given == nullptr) return;
  header* const made = static_cast<header*>(given) - 1;
  explicit_bzero(given, made->bytes);
  std::free(made);
}

}  // extern "C"
