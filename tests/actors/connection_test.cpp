// SPDX-License-Identifier: Apache-2.0
//
// Connections, chains and stages as the CAF actors that they are: on a shard of the test's own, with
// a socket pair in place of a client.
#include "actors/connection.hpp"

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <fstream>
#include <future>

#include "actors/stages/lua_stage.hpp"
#include "actors/shard_release.hpp"
#include "runtime/loader.hpp"
#include "runtime/machine_builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe::actors {
namespace {

using tests::temp_dir;

class config final : public caf::actor_system_config {
public:
  config() {
    add_message_types<caf::id_block::troupe>();
    set("scheduler.max-threads", 1);
  }
};

/// A shard with a release of the given configuration, on its own thread.
class stage_door {
public:
  explicit stage_door(const std::string& conf) : home_(system_, 0, 1) {
    caf::logger::set_current_actor_system(nullptr);
    const std::string file = (folder_.path() / "nginx.conf").string();
    std::ofstream(file) << conf;
    node_options options;
    options.app = file;
    auto loaded = load_configuration(*source_of(options), options, files_);
    EXPECT_TRUE(loaded.has_value());
    site_ = loaded->site;
    auto machines = build_machines(site_, pools_, spare_, 1);
    EXPECT_TRUE(machines.has_value());
    release_ = shard_release::make(site_, std::move(machines->front()));
    release_->attach(home_);
    home_.use(release_);
    home_.start();
  }

  ~stage_door() {
    run([this] { home_.end_residents(false, [] {}); });
    run([this] {
      home_.use(nullptr);
      release_.reset();
    });
    home_.stop();
    home_.join();
  }

  /// Runs `work` on the shard and waits for it.
  void run(const std::function<void()>& work) {
    std::promise<void> done;
    home_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  /// A client's end of a new connection.
  net::unique_fd connect() {
    int ends[2] = {};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    net::unique_fd server(ends[1]);
    run([&] {
      int on = 1;
      ::ioctl(server.get(), FIONBIO, &on);
      sockaddr_un unnamed{};
      unnamed.sun_family = AF_UNIX;
      const auto peer = net::address::from(reinterpret_cast<const sockaddr*>(&unnamed),
                                           sizeof unnamed.sun_family);
      last_ = connection::accept(home_, std::move(server), peer, std::make_shared<connection_origin>());
    });
    return net::unique_fd(ends[0]);
  }

  caf::actor_system system_{config_};
  shard& home() { return home_; }
  shard_release& release() { return *release_; }
  const site& configuration() { return *site_; }
  const caf::strong_actor_ptr& last() { return last_; }

private:
  static inline config config_;
  temp_dir folder_;
  log_files files_;
  lua::thread_pools pools_;
  spare_machines spare_;
  shard home_;
  std::shared_ptr<site> site_;
  std::shared_ptr<shard_release> release_;
  caf::strong_actor_ptr last_;
};

std::string ask(const net::unique_fd& client, std::string_view path) {
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string response;
  char room[4096];
  for (;;) {
    const ssize_t n = ::recv(client.get(), room, sizeof room, 0);
    if (n <= 0) break;
    response.append(room, static_cast<std::size_t>(n));
  }
  return response;
}

constexpr const char* two_places = R"(
server {
  location /lua { content_by_lua_block { ngx.say("from Lua") } }
  location /wait { content_by_lua_block { ngx.sleep(30) ngx.say("late") } }
})";

/// What an embedder would write: answers by itself.
class own_stage final : public stage {
public:
  using stage::stage;
  verdict handle(exchange_box& box) override {
    box.x.body_out.append("from a stage of the test\n");
    return finish(box, 0);
  }
};

TEST(chain, takes_an_actor_of_the_embedder_in_place_of_a_stage) {
  stage_door door(two_places);
  EXPECT_NE(ask(door.connect(), "/lua").find("from Lua"), std::string::npos);
  door.run([&] {
    chain& stages = door.release().stages_of(door.configuration().servers[0]->places[0]->id);
    stages.replace(0, spawn_on<own_stage>(door.home()).handle);
  });
  EXPECT_NE(ask(door.connect(), "/lua").find("from a stage of the test"), std::string::npos);
}

TEST(connection, can_be_monitored) {
  stage_door door(two_places);
  caf::scoped_actor watcher{door.system_};
  const net::unique_fd client = door.connect();
  watcher->monitor(caf::actor_cast<caf::actor>(door.last()));
  ask(client, "/lua");
  bool ended = false;
  watcher->receive([&](const caf::down_msg&) { ended = true; });
  EXPECT_TRUE(ended);
}

TEST(connection, takes_only_its_own_exchange_with_it_when_it_is_killed) {
  stage_door door(two_places);
  const net::unique_fd doomed = door.connect();
  const caf::strong_actor_ptr victim = door.last();
  const net::unique_fd other = door.connect();
  constexpr std::string_view request = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(::send(doomed.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  caf::scoped_actor killer{door.system_};
  killer->send_exit(caf::actor_cast<caf::actor>(victim), caf::exit_reason::kill);
  char byte = 0;
  EXPECT_LE(::recv(doomed.get(), &byte, 1, 0), 0);  // Closed without an answer.
  EXPECT_NE(ask(other, "/lua").find("from Lua"), std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
