/* ngx.var and ngx.arg. */
typedef struct troupe_ffi_var {
  /* 0: found; 1: no value; -1: no exchange. */
  int (*get)(const char* name, size_t size, const char** value, size_t* value_size);
  int (*capture)(int number, const char** value, size_t* value_size);
  /* value null: nil. 0: done; 1: unknown; 2: not changeable; -1: no exchange. */
  int (*set)(const char* name, size_t size, const char* value, size_t value_size);
  /* set_by_lua: its argument, from 1. 0, 1: none, -1: elsewhere. */
  int (*set_argument)(int number, const char** value, size_t* value_size);
  /* Body filter: the chunk and eof. 0, or -1 elsewhere. */
  int (*get_chunk)(const char** bytes, size_t* size, int* eof);
  int (*set_chunk)(const char* bytes, size_t size);
  int (*set_eof)(int eof);
} troupe_ffi_var;
