/* The cluster that the node is in: troupe.cluster. */
typedef struct troupe_ffi_cluster {
  /* Moves when members change and with each message; a number of Lua holds it exactly. */
  double (*version)(const void* cluster);
} troupe_ffi_cluster;
