// SPDX-License-Identifier: Apache-2.0
//
// Both ends of a link, each with its thread, for tests: what came is noted, and a `query` is
// answered with what it asked.
//
// Thread   the test's; the ends' own inside.
// Called   by tests/cluster/links_test, links_attack_test.
#pragma once

#include "cluster/lower_sockets.hpp"
#include "cluster/upper_socket.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe::tests {

using namespace cluster;

/// What happened, to wait for.
class notes {
 public:
  void add(const std::string& what) {
    {
      const std::lock_guard lock(mutex_);
      ++counts_[what];
      last_ = what;
    }
    more_.notify_all();
  }
  /// @return false after `patience`; what did happen is printed then
  bool wait(const std::string& what, int times = 1) {
    std::unique_lock lock(mutex_);
    const bool came = more_.wait_for(lock, patience, [&] { return counts_[what] >= times; });
    if (!came) {
      std::cerr << "waited for " << times << " of \"" << what << "\"; seen:\n";
      for (const auto& [one, count] : counts_) std::cerr << "  " << count << " " << one << "\n";
    }
    return came;
  }
  int count(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return counts_[what];
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::map<std::string, int> counts_;
  std::string last_;
};

/// Does it on the loop's thread and waits for it.
inline void on(zmq_loop& loop, const std::function<void()>& what) {
  std::promise<void> done;
  loop.post([&] {
    what();
    done.set_value();
  });
  done.get_future().get();
}

class lower_end {
 public:
  explicit lower_end(std::optional<curve_pair> keys, lower_sockets::options how = {},
                     bool serves_zap = true) {
    context = std::move(*zmq_context::make());
    log = [this](log_level, std::string_view line) { seen.add("log " + std::string(line)); };
    who = std::move(*zap::bind(*context, {.has_keys = keys.has_value(), .log = log}));
    loop = std::move(*zmq_loop::make());
    how.listen = {"127.0.0.1", ports->number()};
    how.keys = keys;
    how.log = log;
    how.limits.log = log;
    auto opened = lower_sockets::open(
        *context, *who, how,
        {.on_message =
             [this](const peer_id& from, link_role, message what, instant) {
               seen.add(std::string(name_of(what)) + " of " + from);
               last_peer = from;
               if (const auto* asked = std::get_if<query>(&what)) {
                 sockets->send(from, query_answer{.ask = asked->ask, .text = asked->what});
               }
             },
         .on_subscribed = [this](const peer_id&, std::string_view topic,
                                 instant) { seen.add("subscribed " + std::string(topic)); },
         .on_gone = [this](const peer_id& from, instant) { seen.add("gone " + from); }});
    if (!opened) throw std::runtime_error(opened.error().reason);
    sockets = std::move(*opened);
    if (serves_zap) loop->add(*who);
    loop->add(*sockets);
    loop->run();
  }
  ~lower_end() {
    loop->stop();
    sockets.reset();
    who.reset();
  }
  void allow(zap::allow_list keys) {
    on(*loop, [&] { who->allow(std::move(keys)); });
  }
  void announce(const std::string& topic, const std::string& text) {
    on(*loop, [&] { sockets->announce(topic, topic_message{.topic = topic, .payload = text}); });
  }
  [[nodiscard]] lower_sockets::counters count() {
    lower_sockets::counters result;
    on(*loop, [&] { result = sockets->count(); });
    return result;
  }
  [[nodiscard]] link_address address() const { return sockets->address(); }

  notes seen;
  std::shared_ptr<free_port> ports = std::make_shared<free_port>(2);
  std::string last_peer;
  log_function log;
  std::unique_ptr<zmq_context> context;
  std::unique_ptr<zap> who;
  std::unique_ptr<zmq_loop> loop;
  std::unique_ptr<lower_sockets> sockets;
};

class upper_end {
 public:
  upper_end(const std::string& name, std::optional<curve_pair> keys, std::vector<upper_address> to,
            upper_socket::options how = {}) {
    context = std::move(*zmq_context::make());
    loop = std::move(*zmq_loop::make());
    how.node = name;
    how.keys = std::move(keys);
    how.log = [this](log_level, std::string_view line) { seen.add("log " + std::string(line)); };
    socket = std::make_unique<upper_socket>(
        *context, how,
        upper_socket::handlers{
            .on_link = [this](bool up, instant) { seen.add(up ? "up" : "down"); },
            .on_announced =
                [this](std::string_view topic, message what, instant) {
                  const auto* text = std::get_if<topic_message>(&what);
                  seen.add(std::string(topic) + " " + (text != nullptr ? text->payload : "?"));
                  seen.add("announced");
                },
            .on_message =
                [this](message what, instant) {
                  if (const auto* answer = std::get_if<query_answer>(&what)) {
                    seen.add("answer " + answer->text);
                  } else if (const auto* no = std::get_if<refused>(&what)) {
                    seen.add("refused " + no->error);
                  } else {
                    seen.add(std::string(name_of(what)));
                  }
                },
            .on_gap = [this](std::uint64_t, instant) { seen.add("gap"); }});
    loop->add(*socket);
    on_start(std::move(to));
  }
  ~upper_end() {
    loop->stop();
    socket.reset();
  }
  void send(const message& what) {
    on(*loop, [&] { socket->send(what); });
  }
  /// Asks and waits for the answer.
  bool ask(const std::string& what) {
    send(query{.ask = 1, .what = what});
    return seen.wait("answer " + what);
  }
  [[nodiscard]] upper_socket::counters count() {
    upper_socket::counters result;
    on(*loop, [&] { result = socket->count(); });
    return result;
  }

  notes seen;
  std::unique_ptr<zmq_context> context;
  std::unique_ptr<zmq_loop> loop;
  std::unique_ptr<upper_socket> socket;

 private:
  void on_start(std::vector<upper_address> to) {
    socket->addresses(std::move(to), std::chrono::steady_clock::now());
    loop->run();
  }
};

}  // namespace troupe::tests
