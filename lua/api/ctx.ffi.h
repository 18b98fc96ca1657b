/* ngx.ctx: which slot of the VM's table of contexts is the exchange's. */
typedef struct troupe_ffi_ctx {
  /* The slot; 0: none yet; -1: no exchange. */
  int (*slot)(void);
  /* Takes a slot for the exchange. */
  int (*take)(void);
} troupe_ffi_ctx;
