// SPDX-License-Identifier: Apache-2.0
#include "net/tls_client.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/socket.hpp"
#include "net/tls_session.hpp"

namespace troupe::net {
namespace {

std::string openssl_error(const std::string& call) {
  char text[256] = {};
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return call + " failed (SSL: " + text + ")";
}

std::string set_protocols(SSL_CTX* context, const std::vector<std::string>& wanted) {
  static constexpr struct {
    const char* name;
    std::uint64_t off;
  } known[] = {{"TLSv1", SSL_OP_NO_TLSv1},
               {"TLSv1.1", SSL_OP_NO_TLSv1_1},
               {"TLSv1.2", SSL_OP_NO_TLSv1_2},
               {"TLSv1.3", SSL_OP_NO_TLSv1_3}};
  if (wanted.empty()) return {};
  std::uint64_t off = 0;
  for (const auto& one : known) off |= one.off;
  for (const std::string& name : wanted) {
    bool found = name == "SSLv2" || name == "SSLv3";  // Known, and gone from OpenSSL.
    for (const auto& one : known) {
      if (name != one.name) continue;
      off &= ~one.off;
      found = true;
    }
    if (!found) return "invalid value \"" + name + "\"";
  }
  SSL_CTX_set_options(context, off);
  return {};
}

std::string set_commands(SSL_CTX* context,
                         const std::vector<std::pair<std::string, std::string>>& commands) {
  if (commands.empty()) return {};
  std::unique_ptr<SSL_CONF_CTX, decltype(&SSL_CONF_CTX_free)> conf(SSL_CONF_CTX_new(),
                                                                   SSL_CONF_CTX_free);
  SSL_CONF_CTX_set_flags(conf.get(), SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_CLIENT |
                                         SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
  SSL_CONF_CTX_set_ssl_ctx(conf.get(), context);
  for (const auto& [name, value] : commands) {
    if (SSL_CONF_cmd(conf.get(), name.c_str(), value.c_str()) <= 0) {
      return openssl_error("SSL_CONF_cmd(\"" + name + "\", \"" + value + "\")");
    }
  }
  if (SSL_CONF_CTX_finish(conf.get()) != 1) return openssl_error("SSL_CONF_finish()");
  return {};
}

// The client's session cache: that of the connection, which Lua may keep.
int on_new_session(SSL* connection, SSL_SESSION* session) {
  auto* of_connection = static_cast<tls_session*>(SSL_get_app_data(connection));
  if (of_connection == nullptr) return 0;
  of_connection->keep(session);
  return 1;
}

// The file of secrets belongs to the context, which connections keep alive.
void free_key_log(void*, void* file, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<unique_fd*>(file);
}
int key_log_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_key_log);
  return index;
}
void on_secret(const SSL* connection, const char* line) {
  const auto* file = static_cast<const unique_fd*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), key_log_index()));
  char end = '\n';
  const iovec pieces[] = {{const_cast<char*>(line), std::strlen(line)}, {&end, 1}};
  [[maybe_unused]] const ssize_t written = ::writev(file->get(), pieces, 2);
}

std::string set_key_log(SSL_CTX* context, const std::string& path) {
  auto file = std::make_unique<unique_fd>(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!*file) {
    return "open() \"" + path + "\" failed (" + std::to_string(errno) + ": " +
           strerrordesc_np(errno) + ")";
  }
  if (SSL_CTX_set_ex_data(context, key_log_index(), file.get()) != 1) {
    return openssl_error("SSL_CTX_set_ex_data()");
  }
  static_cast<void>(file.release());  // The context's now.
  SSL_CTX_set_keylog_callback(context, on_secret);
  return {};
}

std::string set_all(SSL_CTX* context, const tls_client_settings& settings) {
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context,
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  // lua_ssl_protocols counts, not the system's openssl.cnf.
  SSL_CTX_set_min_proto_version(context, 0);
  SSL_CTX_set_max_proto_version(context, 0);
  SSL_CTX_set_verify_depth(context, settings.verify_depth);
  if (std::string error = set_protocols(context, settings.protocols); !error.empty()) return error;
  if (SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1) {
    return openssl_error("SSL_CTX_set_cipher_list(\"" + settings.ciphers + "\")");
  }
  if (settings.certificates.size() > settings.certificate_keys.size()) {
    return "no \"lua_ssl_certificate_key\" is defined for certificate \"" +
           settings.certificates.back() + "\"";
  }
  for (std::size_t i = 0; i < settings.certificates.size(); ++i) {
    const std::string& file = settings.certificates[i];
    const std::string& key = settings.certificate_keys[i];
    if (SSL_CTX_use_certificate_chain_file(context, file.c_str()) != 1) {
      return openssl_error("SSL_CTX_use_certificate(\"" + file + "\")");
    }
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
      return openssl_error("SSL_CTX_use_PrivateKey(\"" + key + "\")");
    }
  }
  if (!settings.trusted_certificate.empty() &&
      SSL_CTX_load_verify_locations(context, settings.trusted_certificate.c_str(), nullptr) != 1) {
    return openssl_error("SSL_CTX_load_verify_locations(\"" + settings.trusted_certificate + "\")");
  }
  if (!settings.crl.empty()) {
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == nullptr || X509_LOOKUP_load_file(lookup, settings.crl.c_str(), X509_FILETYPE_PEM) != 1) {
      return openssl_error("X509_LOOKUP_load_file(\"" + settings.crl + "\")");
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }
  if (!settings.key_log.empty()) {
    if (std::string error = set_key_log(context, settings.key_log); !error.empty()) return error;
  }
  return set_commands(context, settings.commands);
}

}  // namespace

tl::expected<std::shared_ptr<const tls_client>, std::string> tls_client::make(
    const tls_client_settings& settings) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return tl::unexpected(openssl_error("SSL_CTX_new()"));
  auto made = std::make_shared<const tls_client>(context);
  if (std::string error = set_all(context, settings); !error.empty()) return tl::unexpected(error);
  return made;
}

}  // namespace troupe::net
