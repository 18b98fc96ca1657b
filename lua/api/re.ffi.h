/* ngx.re: a compiled expression and the groups of its last match. */
typedef struct troupe_regex {
  int groups;                   /* Without the whole match; 0 for DFA. */
  int utf;                      /* 1: positions are those of whole characters. */
  size_t* offsets;              /* Pairs; (size_t)-1: took no part. */
  int name_count;
  int name_size;                /* Of an entry: number in two bytes, then the name. */
  const unsigned char* names;
  void* code;
  void* match;
  void* context;
  int dfa;
} troupe_regex;

typedef struct troupe_regex_failure {
  char message[256];
  int offset;  /* In the pattern, in bytes. */
} troupe_regex_failure;

typedef struct troupe_ffi_re {
  /* null: `failure` says why. flags: bits of re.lua. */
  troupe_regex* (*compile)(const char* pattern, size_t size, unsigned flags, unsigned limit,
                           troupe_regex_failure* failure);
  void (*destroy)(troupe_regex* regex);
  /* Number of pairs that are set, -1: no match, else PCRE2's error. */
  int (*exec)(troupe_regex* regex, const char* subject, size_t size, size_t start, int no_utf_check);
  /* Of the VM. */
  int (*cache_entries)(void);
  unsigned (*match_limit)(void);
  void (*complain)(const char* text, size_t size);
  void (*note)(const char* text, size_t size);
  int (*jit_stack)(size_t size);
} troupe_ffi_re;
