// SPDX-License-Identifier: Apache-2.0
//
// The controller's own follower is one of the nodes below it, without sockets between. Downward
// this stands before the real sockets and takes out what is for this node; upward it is the
// follower's link. Both directions wait in a queue until pump(): nobody is called back from within
// its call.
//
// Also whom the follower's messages go to at present: this controller, the node above, or a
// takeover.
//
// Source   docs/cluster.md, "Links".
// Thread   cluster.
// Called   by cluster/agent_core.
#pragma once

#include "cluster/links.hpp"

#include <deque>
#include <functional>
#include <string>
#include <variant>

namespace troupe::cluster {

class local_link final : public lower_links {
 public:
  struct handlers {
    std::function<void(message, instant)> to_controller;
    std::function<void(std::string_view topic, message, instant)> announced;
    std::function<void(message, instant)> to_node;
    /// Before the links of a key are cut.
    std::function<void(const peer_id&)> before_cut;
  };
  /// @param own  what this node is called by its controller.
  local_link(peer_id own, handlers then);

  /// The sockets below; none: this node binds nothing.
  void below(lower_links* sockets) noexcept { sockets_ = sockets; }
  /// Whether this node's own controller speaks here, and hears what the node says.
  void leads(bool does) noexcept { leads_ = does; }
  [[nodiscard]] const peer_id& own() const noexcept { return own_; }

  // What a controller or relay says.
  void announce(std::string_view topic, const message& what) override;
  void send(const peer_id& to, const message& what) override;
  void send_all(const std::vector<peer_id>& to, const message& what) override;
  void cut(const peer_id& who) override;
  /// What this node says to its controller.
  void say(const message& what) { queue_.emplace_back(up{what}); }

  void pump(instant now);
  [[nodiscard]] bool has_work() const noexcept { return !queue_.empty(); }

 private:
  struct up {
    message what;
  };
  struct down {
    message what;
  };
  struct news {
    std::string topic;
    message what;
  };
  peer_id own_;
  handlers then_;
  lower_links* sockets_ = nullptr;
  bool leads_ = false;
  std::deque<std::variant<up, down, news>> queue_;
};

/// The follower's link, which leads elsewhere when the node's part in the cluster changes.
class switched_link final : public upper_link {
 public:
  explicit switched_link(std::function<void(message&)> before) : before_(std::move(before)) {}
  void send(const message& what) override {
    if (!to_) return;
    message sent = what;
    before_(sent);
    to_(sent);
  }
  void connect_anew() override {
    if (anew_) anew_();
  }
  [[nodiscard]] std::string_view server_key() const override {
    return server_key_ ? server_key_() : std::string_view();
  }
  void lead_to(std::function<void(const message&)> to, std::function<void()> anew,
               std::function<std::string_view()> server_key = {}) {
    to_ = std::move(to);
    anew_ = std::move(anew);
    server_key_ = std::move(server_key);
  }

 private:
  std::function<void(message&)> before_;  ///< Puts in what the follower does not know of itself.
  std::function<void(const message&)> to_;
  std::function<void()> anew_;
  std::function<std::string_view()> server_key_;
};

}  // namespace troupe::cluster
