/* Digests and checksums. Lua gives the output: 16 bytes for MD5 (32 in hex), 20 for SHA-1. */
typedef struct troupe_ffi_digest {
  void (*md5)(const char* text, size_t size, unsigned char* out);
  void (*md5_hex)(const char* text, size_t size, char* out);
  void (*sha1)(const char* text, size_t size, unsigned char* out);
  void (*hmac_sha1)(const char* key, size_t key_size, const char* text, size_t size,
                    unsigned char* out);
  uint32_t (*crc32)(const char* text, size_t size);
} troupe_ffi_digest;
