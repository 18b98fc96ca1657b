/* What the other areas ask first. */
typedef struct troupe_ffi_core {
  /* The running phase as a bit of lua/phase.hpp; 0 outside any. */
  unsigned (*phase)(void);
  /* Its names: for ngx.get_phase, and for error texts. */
  const char* (*phase_name)(void);
  const char* (*directive_name)(void);
  unsigned output_phases;
  unsigned request_phases;
  /* 1, 0, or -1 without an exchange. */
  int (*is_subrequest)(void);
} troupe_ffi_core;
