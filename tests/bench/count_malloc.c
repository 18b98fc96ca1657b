/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts calls of malloc and its kin, of all threads, into the 8 bytes of the file $MALLOC_COUNTER.
 * Preloaded by tests/bench/compare into both sides.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

static atomic_ulong before_mapping;
static atomic_ulong* calls = &before_mapping;

__attribute__((constructor)) static void map_counter(void) {
  const char* name = getenv("MALLOC_COUNTER");
  int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* page = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) calls = page;
}

static void count(void) { atomic_fetch_add_explicit(calls, 1, memory_order_relaxed); }

void* malloc(size_t size) { return count(), __libc_malloc(size); }
void* calloc(size_t number, size_t size) { return count(), __libc_calloc(number, size); }
void* realloc(void* old, size_t size) { return count(), __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) { return count(), __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** result, size_t alignment, size_t size) {
  void* memory = memalign(alignment, size);
  if (memory == NULL) return 12; /* ENOMEM */
  *result = memory;
  return 0;
}
