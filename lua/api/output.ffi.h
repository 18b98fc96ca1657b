/* ngx.print, ngx.say, ngx.send_headers: what may be said without waiting. */
typedef struct troupe_ffi_output {
  /* Whether output is possible now: 0, or a code of output.lua's table. */
  int (*begin)(void);
  /* Adds bytes to the output of the current call. */
  void (*append)(const char* bytes, size_t size);
  void (*append_number)(double number);
  /* Ends the call: 0, or 1 if filters have to run (native.filter). */
  int (*commit)(void);
  /* begin, append, commit. */
  int (*write)(const char* bytes, size_t size);
  /* begin, append with a line end, commit. */
  int (*line)(const char* bytes, size_t size);
  /* Sends the head: 0, 1 or a code. */
  int (*send_headers)(void);
  /* 1, 0, or -1 without an exchange. */
  int (*headers_sent)(void);
} troupe_ffi_output;
