// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_address.hpp"

#include "cluster/link_address.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr std::string_view plain_scheme = "etcd://";
constexpr std::string_view tls_scheme = "etcds://";

std::optional<std::string> decoded(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    if (text.front() != '%') {
      result += text.front();
      text.remove_prefix(1);
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = text.substr(1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + digits.size()) {
      return std::nullopt;
    }
    result += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return result;
}

/// What stands before the first such character goes to the answer, what is behind it stays.
std::string_view up_to(char end, std::string_view& text) {
  const auto at = text.find(end);
  const auto before = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return before;
}

}  // namespace

tl::expected<etcd_address, refusal> etcd_address::parse(std::string_view text) {
  std::string shown(text);
  if (const auto at = shown.rfind('@'); at != std::string::npos) {
    const auto from = shown.find("://");
    shown.replace(from == std::string::npos ? 0 : from + 3,
                  at - (from == std::string::npos ? 0 : from + 3), "…");
  }
  const auto bad = [&](const std::string& why) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::malformed,
                .reason = "--store \"" + shown + "\": " + why +
                          "; write etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/PREFIX], or "
                          "etcds://…[?ca=FILE&cert=FILE&key=FILE] for TLS",
                .file = {}});
  };
  const bool has_tls = text.starts_with(tls_scheme);
  if (!has_tls && !text.starts_with(plain_scheme)) {
    return bad("no store of this kind is known");
  }
  std::string_view files = text.substr(has_tls ? tls_scheme.size() : plain_scheme.size());
  std::string_view prefix = up_to('?', files);
  std::string_view hosts = up_to('/', prefix);
  etcd_address result;
  if (const auto at = hosts.rfind('@'); at != std::string_view::npos) {
    std::string_view rest = hosts.substr(0, at);
    const auto user = decoded(up_to(':', rest));
    const auto password = decoded(rest);
    if (!user || !password) return bad("a % that is meant is written %25");
    if (user->empty() || password->empty()) return bad("a user has a name and a password");
    result.user = *user;
    result.password = *password;
    hosts.remove_prefix(at + 1);
  }
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty()) result.prefix = std::string(prefix);
  while (true) {
    const auto comma = hosts.find(',');
    const auto at = link_address::parse(hosts.substr(0, comma));
    if (!at) return bad(at.error().reason);
    result.members.push_back((has_tls ? "https://" : "http://") + at->text());
    if (comma == std::string_view::npos) break;
    hosts.remove_prefix(comma + 1);
  }
  if (!files.empty() && !has_tls) return bad("files of certificates are for etcds://");
  while (!files.empty()) {
    std::string_view value = up_to('&', files);
    const std::string_view name = up_to('=', value);
    std::string* const to = name == "ca"     ? &result.authorities
                            : name == "cert" ? &result.certificate
                            : name == "key"  ? &result.certificate_key
                                             : nullptr;
    const auto file = decoded(value);
    if (to == nullptr || !file || file->empty()) {
      return bad('"' + std::string(name) + "\" is not known, or names no file");
    }
    *to = *file;
  }
  if (result.certificate.empty() != result.certificate_key.empty()) {
    return bad("cert and key go together");
  }
  return result;
}

}  // namespace troupe::cluster
