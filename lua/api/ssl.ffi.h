/* SPDX-License-Identifier: Apache-2.0 */
/* ngx.ssl: certificates and keys. What fails sets *error to a constant text. Any phase; nothing waits. */
typedef struct troupe_ffi_ssl {
  /* -> bytes written to `room`, never more than the PEM has; -1 with *error. */
  int (*cert_pem_to_der)(const char *pem, size_t pem_bytes, char *room, const char **error);
  int (*key_pem_to_der)(const char *pem, size_t pem_bytes, const char *passphrase, char *room,
                        const char **error);
  /* -> a STACK_OF(X509), for free_cert(); null with *error. */
  void *(*parse_pem_cert)(const char *pem, size_t pem_bytes, const char **error);
  void *(*parse_der_cert)(const char *der, size_t der_bytes, const char **error);
  /* -> an EVP_PKEY, for free_key(); null with *error. */
  void *(*parse_pem_key)(const char *pem, size_t pem_bytes, const char **error);
  void *(*parse_der_key)(const char *der, size_t der_bytes, const char **error);
  void (*free_cert)(void *chain);
  void (*free_key)(void *key);
} troupe_ffi_ssl;
