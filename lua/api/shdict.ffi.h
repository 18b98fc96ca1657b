/* ngx.shared.NAME: the zone is the dictionary's address. */
typedef struct troupe_ffi_shdict {
  /* kind: 0 boolean, 1 number, 2 text (into `room`, or its size if that is too small: 5). */
  int (*get)(void* zone, const char* key, size_t size, int stale, int* kind, double* number,
             char* room, size_t* text_size, int* flags, int* is_stale);
  /* how: 0 set, 1 add, 2 replace, +4: evict nothing. */
  int (*put)(void* zone, int how, const char* key, size_t size, int kind, double number,
             const char* text, size_t text_size, double life, int flags, int* forcible);
  void (*remove)(void* zone, const char* key, size_t size);
  int (*increment)(void* zone, const char* key, size_t size, double by, int has_init, double init,
                   double life, double* value, int* forcible);
  double (*time_left)(void* zone, const char* key, size_t size);
  int (*expire)(void* zone, const char* key, size_t size, double life);
  void (*flush_all)(void* zone);
  size_t (*flush_expired)(void* zone, size_t most);
  size_t (*capacity)(void* zone);
  size_t (*free_space)(void* zone);
} troupe_ffi_shdict;
