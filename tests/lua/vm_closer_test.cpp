// SPDX-License-Identifier: Apache-2.0
#include "lua/vm_closer.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "lua/vm.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

using namespace std::chrono_literals;

class lines final : public net::log_context {
 public:
  [[nodiscard]] bool enabled(net::log_level) const noexcept override { return true; }
  void write(net::log_level, std::string_view text) const noexcept override { all.emplace_back(text); }
  mutable std::vector<std::string> all;
};

std::unique_ptr<vm> make(const net::log_context& log, const char* code) {
  auto machine = vm::create({.log = &log});
  EXPECT_TRUE(machine) << machine.error();
  lua_State* state = (*machine)->state();
  EXPECT_EQ(luaL_dostring(state, code), 0) << lua_tostring(state, -1);
  return std::move(*machine);
}

constexpr const char* with_finalizer =
    "kept = newproxy(true)\n"
    "getmetatable(kept).__gc = function() ngx.log(ngx.ERR, 'finalized, and has ', type(ngx.re.match)) end";

TEST(vm_closer, runs_finalizers_and_tells_when_it_is_done) {
  const lines log;
  std::promise<std::thread::id> done;
  vm_closer closer;
  closer.close(make(log, with_finalizer), [&] { done.set_value(std::this_thread::get_id()); });
  auto where = done.get_future();
  ASSERT_EQ(where.wait_for(60s), std::future_status::ready);
  EXPECT_NE(where.get(), std::this_thread::get_id());
  ASSERT_EQ(log.all.size(), 1u);
  EXPECT_NE(log.all[0].find("finalized, and has function"), std::string::npos) << log.all[0];
}

TEST(vm_closer, closes_what_is_left_at_its_end) {
  const lines log;
  int closed = 0;
  {
    vm_closer closer;
    for (int i = 0; i < 8; ++i) closer.close(make(log, with_finalizer), [&] { ++closed; });
  }
  EXPECT_EQ(closed, 8);
  EXPECT_EQ(log.all.size(), 8u);
}

// They run outside of the shard: nothing of it can be had there.
TEST(vm_closer, finalizers_get_no_timers_and_no_actors) {
  const lines log;
  {
    vm_closer closer;
    closer.close(make(log,
                      "kept = newproxy(true)\n"
                      "getmetatable(kept).__gc = function()\n"
                      "  ngx.log(ngx.ERR, select(2, pcall(ngx.timer.at, 0, function() end)))\n"
                      "  ngx.log(ngx.ERR, select(2, pcall(troupe.spawn, function() end)))\n"
                      "  ngx.log(ngx.ERR, select(2, pcall(ngx.socket.tcp)))\n"
                      "  error('dropped')\n"
                      "end"),
                 [] {});
  }
  ASSERT_EQ(log.all.size(), 3u);
  EXPECT_NE(log.all[0].find("no request"), std::string::npos) << log.all[0];
  for (const std::string& line : log.all) EXPECT_EQ(line.find("nil"), std::string::npos) << line;
}

}  // namespace
}  // namespace troupe::lua
