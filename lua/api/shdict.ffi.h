/* ngx.shared.NAME: at `zone` is the dictionary's address. Any phase; nothing waits. What returns an
   int returns 0 or a dict_errc of lua/shared_dict.hpp. */
typedef struct troupe_shdict_result {
  double number;      /* Of a boolean: 0 or 1. */
  size_t text_bytes;  /* In the caller's room, or needed if that is too small. */
  int kind;           /* 0 boolean, 1 number, 2 text. */
  int flags;
  int is_stale;
  int forcible;
} troupe_shdict_result;

typedef struct troupe_ffi_shdict {
  int (*get)(void* zone, const char* key, size_t key_bytes, char* room, size_t room_bytes,
             int with_expired, troupe_shdict_result* result);
  /* how: 0 set, 1 add, 2 replace, +4: evict nothing. Sets result->forcible. */
  int (*put_text)(void* zone, int how, const char* key, size_t key_bytes, const char* text,
                  size_t text_bytes, double life_s, int flags, troupe_shdict_result* result);
  /* kind: 0 boolean, 1 number. */
  int (*put_number)(void* zone, int how, const char* key, size_t key_bytes, int kind, double number,
                    double life_s, int flags, troupe_shdict_result* result);
  void (*remove)(void* zone, const char* key, size_t key_bytes);
  /* Sets result->number and ->forcible. */
  int (*increment)(void* zone, const char* key, size_t key_bytes, double by, int has_init,
                   double init, double init_life_s, troupe_shdict_result* result);
  /* end: 0 left, 1 right. Sets result->number to the new length. */
  int (*push_text)(void* zone, int end, const char* key, size_t key_bytes, const char* text,
                   size_t text_bytes, troupe_shdict_result* result);
  int (*push_number)(void* zone, int end, const char* key, size_t key_bytes, double number,
                     troupe_shdict_result* result);
  int (*pop)(void* zone, int end, const char* key, size_t key_bytes, char* room, size_t room_bytes,
             troupe_shdict_result* result);
  /* Sets result->number. */
  int (*length)(void* zone, const char* key, size_t key_bytes, troupe_shdict_result* result);
  /* Sets result->number to the seconds left, 0: for ever, less: expired. */
  int (*time_left)(void* zone, const char* key, size_t key_bytes, troupe_shdict_result* result);
  int (*expire)(void* zone, const char* key, size_t key_bytes, double life_s);
  void (*flush_all)(void* zone);
  size_t (*flush_expired)(void* zone, size_t most);
  size_t (*capacity)(void* zone);
  size_t (*free_space)(void* zone);
} troupe_ffi_shdict;
