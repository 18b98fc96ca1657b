/* ngx.worker. */
typedef struct troupe_ffi_const {
  int (*pid)(void);
  /* Whether the shard takes no more work. */
  int (*is_exiting)(void);
} troupe_ffi_const;
