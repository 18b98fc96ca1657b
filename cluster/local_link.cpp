// SPDX-License-Identifier: Apache-2.0
#include "cluster/local_link.hpp"

#include <utility>

namespace troupe::cluster {

local_link::local_link(peer_id own, handlers then) : own_(std::move(own)), then_(std::move(then)) {}

void local_link::announce(std::string_view topic, const message& what) {
  if (sockets_ != nullptr) sockets_->announce(topic, what);
  if (leads_) queue_.emplace_back(news{std::string(topic), what});
}

void local_link::send(const peer_id& to, const message& what) {
  if (to == own_) {
    queue_.emplace_back(down{what});
  } else if (sockets_ != nullptr) {
    sockets_->send(to, what);
  }
}

void local_link::send_all(const std::vector<peer_id>& to, const message& what) {
  std::vector<peer_id> others;
  others.reserve(to.size());
  for (const peer_id& one : to) {
    if (one == own_) {
      queue_.emplace_back(down{what});
    } else {
      others.push_back(one);
    }
  }
  if (sockets_ != nullptr) sockets_->send_all(others, what);
}

void local_link::cut(const peer_id& who) {
  if (who == own_) return;
  then_.before_cut(who);
  if (sockets_ != nullptr) sockets_->cut(who);
}

void local_link::pump(instant now) {
  // What is said meanwhile waits for the next turn.
  for (std::size_t left = queue_.size(); left > 0 && !queue_.empty(); --left) {
    auto one = std::move(queue_.front());
    queue_.pop_front();
    if (auto* said = std::get_if<up>(&one)) {
      then_.to_controller(std::move(said->what), now);
    } else if (auto* answer = std::get_if<down>(&one)) {
      then_.to_node(std::move(answer->what), now);
    } else {
      auto& told = std::get<news>(one);
      then_.announced(told.topic, std::move(told.what), now);
    }
  }
}

}  // namespace troupe::cluster
