// SPDX-License-Identifier: Apache-2.0
//
// Who may link: the handler that libzmq asks about each CURVE key before a link opens (ZAP), and
// what kind of link each key has.
//
// It is bound before any socket that binds; those say ZAP_DOMAIN and ZAP_ENFORCE_DOMAIN, so that
// without an answer nobody gets in: libzmq by itself lets in everybody when no handler is there.
//
// Source   ZeroMQ RFC 27; zmq_setsockopt(3), ZMQ_ZAP_ENFORCE_DOMAIN.
// Thread   cluster.
// Errors   bind(): a refusal. Denied attempts are counted and logged at a bounded rate.
// Called   by cluster/lower_sockets, cluster/agent.
#pragma once

#include "cluster/bounded_log.hpp"
#include "cluster/zmq_context.hpp"
#include "cluster/zmq_loop.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace troupe::cluster {

/// What a link may be used for.
enum class link_role : std::uint8_t {
  none = 0,
  member,  ///< A node: everything.
  tools,   ///< The operator's: orders, contents, questions; no announcements.
  token,   ///< A new node with a join token: its member order.
};
[[nodiscard]] std::string_view name_of(link_role role) noexcept;

class zap final : public loop_source {
 public:
  /// By CURVE key (Z85).
  using allow_list = std::map<std::string, link_role, std::less<>>;

  static constexpr const char* requests_domain = "requests";
  static constexpr const char* announcements_domain = "announcements";

  struct options {
    bool has_keys = true;  ///< Without: links from loopback and no others.
    log_function log;
  };
  /// One for a context.
  [[nodiscard]] static tl::expected<std::unique_ptr<zap>, refusal> bind(const zmq_context& context,
                                                                        options how);

  void allow(allow_list keys) { allowed_ = std::move(keys); }
  [[nodiscard]] const allow_list& allowed() const noexcept { return allowed_; }
  [[nodiscard]] link_role role_of(std::string_view key) const;
  [[nodiscard]] bool has_keys() const noexcept { return how_.has_keys; }

  // loop_source
  void handles(std::vector<void*>& to) const override { to.push_back(socket_.handle()); }
  void pump(instant now) override;  ///< Answers who waits.
  [[nodiscard]] instant next_tick() const override { return instant::max(); }

  [[nodiscard]] std::uint64_t let_in() const noexcept { return let_in_; }
  [[nodiscard]] std::uint64_t denied() const noexcept { return denied_; }

 private:
  zap(zmq_socket socket, options how);
  struct verdict {
    bool allowed = false;
    std::string user;
    std::string why;  ///< Of a denial, for the log.
  };
  [[nodiscard]] verdict judge(const std::vector<std::string>& request) const;

  zmq_socket socket_;
  options how_;
  bounded_log log_;
  allow_list allowed_;
  std::uint64_t let_in_ = 0;
  std::uint64_t denied_ = 0;
};

}  // namespace troupe::cluster
