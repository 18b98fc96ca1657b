/* Values as text. */
typedef struct troupe_ffi_value_text {
  /* Room for 32 bytes; the bytes written. */
  size_t (*number)(char* out, double number);
} troupe_ffi_value_text;
