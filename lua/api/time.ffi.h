/* The time: ngx.now and its kin. Lua gives the output, 64 bytes. */
typedef struct troupe_ffi_time {
  /* Milliseconds since 1970, as the clock of the shard last saw it. */
  double (*wall_ms)(void);
  /* Milliseconds since some fixed moment. */
  double (*monotonic_ms)(void);
  void (*update)(void);
  /* 19 bytes, "2010-11-19 20:56:31". */
  void (*local_time)(char* out);
  void (*utc_time)(char* out);
  /* The size of the result. */
  int (*http_time)(double seconds, char* out);
  int (*cookie_time)(double seconds, char* out);
  /* 0, or -1 if it is no date. */
  int (*parse)(const char* text, size_t size, double* seconds);
} troupe_ffi_time;
