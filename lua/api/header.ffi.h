/* ngx.header, ngx.resp.get_headers, ngx.req.get_headers and setters. */
typedef struct troupe_ffi_field {
  const char* name;
  size_t name_size;
  const char* value;
  size_t value_size;
} troupe_ffi_field;

typedef struct troupe_ffi_header {
  /* All fields of the request, or of the response as it will be sent; returns their number, which
     may be more than `room`, or -1 without an exchange. */
  int (*request_fields)(troupe_ffi_field* fields, int room);
  int (*response_fields)(troupe_ffi_field* fields, int room);
  /* Fields of one name, any case, `_` as `-` if the location says so. */
  int (*response_values)(const char* name, size_t size, troupe_ffi_field* fields, int room);
  /* Replaces (append 0) or adds (1). 0; 1: the head is sent; 2: no number for a length; -1. */
  int (*set_response)(const char* name, size_t size, const char* value, size_t value_size,
                      int append);
  int (*clear_response)(const char* name, size_t size);
  int (*set_request)(const char* name, size_t size, const char* value, size_t value_size,
                     int append);
  int (*clear_request)(const char* name, size_t size);
  /* 1 if ngx.header may be changed still; logs if not. */
  int (*complain_sent)(void);
} troupe_ffi_header;
