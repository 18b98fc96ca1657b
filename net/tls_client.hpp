// SPDX-License-Identifier: Apache-2.0
//
// How we speak TLS to others: an OpenSSL context made of what the configuration says.
//
// Source   the lua_ssl_* directives of ngx_lua; SSL_CTX_new(3), SSL_CONF_cmd(3).
// Thread   made by the loader; then any, it is constant.
// Errors   make(): what is wrong and with which file, in nginx's words.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace troupe::net {

struct tls_client_settings {
  std::vector<std::string> protocols;  ///< "TLSv1.2" …; empty: TLSv1 to TLSv1.3.
  std::string ciphers = "DEFAULT";
  int verify_depth = 1;
  std::string trusted_certificate;     ///< Files, absolute; empty: none.
  std::string crl;
  std::vector<std::string> certificates;
  std::vector<std::string> certificate_keys;
  std::string key_log;                 ///< Secrets go to its end, for Wireshark and its like.
  std::vector<std::pair<std::string, std::string>> commands;  ///< lua_ssl_conf_command.
};

class tls_client {
public:
  static tl::expected<std::shared_ptr<const tls_client>, std::string> make(
      const tls_client_settings& settings);
  explicit tls_client(SSL_CTX* context) : context_(context) {}
  ~tls_client() { SSL_CTX_free(context_); }
  tls_client(const tls_client&) = delete;
  tls_client& operator=(const tls_client&) = delete;

  /// OpenSSL counts its references itself and locks what it must.
  [[nodiscard]] SSL_CTX* context() const noexcept { return context_; }

private:
  SSL_CTX* context_;
};

}  // namespace troupe::net
