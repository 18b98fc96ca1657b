/* Config values: troupe.config. */
typedef struct troupe_ffi_config {
  /* Of the last change of a node's values; a number of Lua holds it exactly. */
  double (*version)(const void* values);
} troupe_ffi_config;
