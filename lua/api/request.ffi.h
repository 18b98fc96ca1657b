/* ngx.req.*: line, arguments, method; ngx.status. */
typedef struct troupe_ffi_request {
  /* All return -1 without an exchange. */
  int (*text)(int what, const char** bytes, size_t* size);
  int (*version)(void);
  int (*is_internal)(void);
  double (*start_time)(void);
  int (*set_method)(unsigned bit);
  int (*set_args)(const char* bytes, size_t size);
  int (*status)(void);
  /* 0; 1: the head is sent; 2: out of range. */
  int (*set_status)(int status);
  /* 0 unread, 1 reading, 2 read, 3 discarded; in_file: 1 if in a file. */
  int (*body_state)(int* in_file);
  int (*body)(const char** bytes, size_t* size);
  int (*set_status_line)(int status, const char* reason, size_t size);
  int (*bypass_checks)(void);
} troupe_ffi_request;
