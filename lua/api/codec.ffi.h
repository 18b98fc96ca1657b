/* Escaping, query arguments, base64, SQL strings. Lua gives the output, big enough. */
typedef struct troupe_ffi_arg {
  /* Places in the decoded bytes; value_size -1: a bare key. */
  uint32_t key_at;
  int32_t key_size;
  uint32_t value_at;
  int32_t value_size;
} troupe_ffi_arg;

typedef struct troupe_ffi_codec {
  /* Bytes that escaping adds. */
  size_t (*escaped_growth)(const char* text, size_t size, int type);
  void (*escape_uri)(const char* text, size_t size, int type, char* out);
  /* The size of the result, at most that of the text. */
  size_t (*unescape_uri)(const char* text, size_t size, char* out);
  /* An upper bound of the pairs. */
  int (*count_args)(const char* text, size_t size);
  /* At most `limit` pairs, without those whose key is empty. How many are in `out`. */
  int (*parse_args)(const char* text, size_t size, int limit, int keyless_count, char* decoded,
                    troupe_ffi_arg* out);
  /* Escapes a pair to out + at, behind "&" unless it is the first; value NULL: a bare key. The end. */
  int (*write_arg)(char* out, int at, const char* key, size_t key_size, const char* value,
                   size_t value_size);
  /* Says in the log that there were more. */
  void (*log_limit)(int limit);
  /* form: 0 standard, 1 URL, 2 MIME (decoding). */
  size_t (*encode_base64)(const char* text, size_t size, char* out, int form, int padded);
  /* The size of the result, or -1. */
  int (*decode_base64)(const char* text, size_t size, char* out, int form);
  /* Bytes that quoting adds beside the two quotes. */
  size_t (*quoted_growth)(const char* text, size_t size);
  void (*quote_sql)(const char* text, size_t size, char* out);
} troupe_ffi_codec;
