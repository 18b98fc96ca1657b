/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS session, as sslhandshake gives it: Lua frees it. */
typedef struct troupe_tls_session troupe_tls_session;
typedef struct {
  void (*free_session)(troupe_tls_session *session);
} troupe_ffi_socket_tcp;
