// SPDX-License-Identifier: Apache-2.0
#include "lua/script.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lua/phase.hpp"
#include "lua/vm.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

class test_host final : public script_host {
public:
  void wake(wait_token token) noexcept override { woken_.push_back(token); }
  [[nodiscard]] net::event_loop& loop() noexcept override { return loop_; }
  [[nodiscard]] net::client_services& services() noexcept override { return services_; }

  void run(script& one) {
    loop_.set_idle_hook([this] {
      std::vector<wait_token> now;
      now.swap(woken_);
      for (const wait_token token : now) deliver(token);
      return !now.empty();
    });
    while (one.state() == script::progress::waiting) loop_.turn_once();
  }

private:
  net::event_loop loop_;
  net::client_services services_{loop_};
  std::vector<wait_token> woken_;
};

class scripts : public testing::Test {
protected:
  void make(std::size_t most_memory) {
    vm_options options;
    options.max_memory = most_memory;
    auto made = vm::create(std::move(options));
    ASSERT_TRUE(made) << made.error();
    machine = std::move(*made);
  }
  // What the code returns, or its error.
  std::string run(const std::string& code) {
    chunk_source source;
    source.chunk_name = "=test";
    source.text = code;
    if (auto compiled = machine->compile(source); !compiled) return compiled.error();
    script one(*machine, host);
    one.start(0, phase::timer, nullptr, net::null_log());
    host.run(one);
    if (one.state() == script::progress::failed) return "error: " + one.error_message();
    const char* text = one.result_count() > 0 ? lua_tostring(one.results(), 1) : nullptr;
    return text != nullptr ? text : "";
  }

  std::unique_ptr<vm> machine;
  test_host host;
};

}  // namespace

TEST_F(scripts, coroutines_that_were_dropped_are_collected_while_the_script_runs) {
  make(0);
  EXPECT_EQ(run(R"(
      local function churn(n)
        for i = 1, n do
          coroutine.wrap(function() coroutine.yield(1) end)()
          coroutine.create(function() end)
          ngx.thread.spawn(function() return 1 end)
          coroutine.wrap(function() ngx.thread.spawn(function() end) coroutine.yield() end)()
        end
        collectgarbage() collectgarbage()
        return collectgarbage("count")
      end
      churn(100)
      local before = churn(100)
      local after = churn(20000)
      return after - before < 100 and "flat" or after - before)"),
            "flat");
}

TEST_F(scripts, a_suspended_coroutine_outlives_collections) {
  make(0);
  EXPECT_EQ(run(R"(
      local function generator()
        local kept = { "kept" }
        return coroutine.wrap(function() for i = 1, 3 do coroutine.yield(kept[1] .. i) end return "end" end)
      end
      local all, said = {}, {}
      for i = 1, 50 do all[i] = generator() end
      for round = 1, 4 do
        collectgarbage() collectgarbage()
        for i = 1, 50 do said[round] = all[i]() end
      end
      return table.concat(said, " "))"),
            "kept1 kept2 kept3 end");
}

TEST_F(scripts, a_coroutine_that_waits_is_kept_by_its_resumer) {
  make(0);
  EXPECT_EQ(run(R"(
      return coroutine.wrap(function()
        return coroutine.wrap(function() ngx.sleep(0.001) collectgarbage() ngx.sleep(0.001) return "slept" end)()
      end)())"),
            "slept");
}

TEST_F(scripts, a_coroutine_ends_with_the_killed_thread_that_resumed_it) {
  make(0);
  EXPECT_EQ(run(R"(
      local said = {}
      local thread = ngx.thread.spawn(function()
        coroutine.wrap(function() ngx.sleep(0.01) collectgarbage() said[1] = "went on" end)()
        said[2] = "not reached"
      end)
      assert(ngx.thread.kill(thread))
      thread = nil
      collectgarbage() collectgarbage()
      ngx.sleep(0.03)
      return tostring(said[1]) .. " " .. tostring(said[2]))"),
            "nil nil");
}

TEST_F(scripts, light_threads_keep_their_results_and_their_parents) {
  make(0);
  EXPECT_EQ(run(R"(
      local said = {}
      local function say(...) for i = 1, select("#", ...) do said[#said + 1] = tostring((select(i, ...))) end end
      local thread = ngx.thread.spawn(function(a) return a, 2, "three" end, 1)
      say(coroutine.status(thread))
      collectgarbage() collectgarbage()
      say(ngx.thread.wait(thread))
      say(coroutine.status(thread), ngx.thread.wait(thread))
      local broken = ngx.thread.spawn(function() error("broken", 0) end)
      collectgarbage()
      say(ngx.thread.wait(broken))
      local other = ngx.thread.spawn(function() end)
      say(ngx.thread.kill(other))
      say(ngx.thread.kill(other))
      local child = ngx.thread.spawn(function() end)
      say((coroutine.wrap(function() return select(2, pcall(ngx.thread.wait, child)) end)()))
      say((select(2, ngx.thread.kill(coroutine.create(function() end)))))
      local co = coroutine.create(function()
        local one = ngx.thread.spawn(function() ngx.sleep(0.002) return "slow" end)
        local two = ngx.thread.spawn(function() return "quick" end)
        coroutine.yield()
        say((select(2, ngx.thread.wait(two))))
        say((select(2, ngx.thread.wait(one))))
      end)
      coroutine.resume(co)
      collectgarbage() collectgarbage()
      coroutine.resume(co)
      return table.concat(said, "|"))"),
            "zombie|true|1|2|three|dead|nil|already waited or killed|false|broken|nil|already terminated|nil|"
            "already waited or killed|only the parent coroutine can wait on the thread|not user thread|"
            "quick|slow");
}

TEST_F(scripts, coroutines_below_a_c_function_yield_and_end) {
  make(0);
  EXPECT_EQ(run(R"(
      local co = coroutine.create(function() coroutine.yield(1) coroutine.yield(2) return 3 end)
      local said = ("abcd"):gsub(".", function()
        local ok, value = coroutine.resume(co)
        collectgarbage()
        return tostring(value):sub(1, 6) .. ","
      end)
      return said .. coroutine.status(co))"),
            "1,2,3,cannot,dead");
}

TEST_F(scripts, values_go_both_ways_through_deep_coroutines) {
  make(0);
  EXPECT_EQ(run(R"(
      local function deep(n)
        if n == 0 then return coroutine.wrap(function(...) ngx.sleep(0.001) return coroutine.yield(...) end) end
        return coroutine.wrap(function(...)
          local inner = deep(n - 1)
          return inner(coroutine.yield(inner(...)))
        end)
      end
      local co = deep(20)
      local a, b, c = co(1, nil, "x")
      local d = co("back")
      return tostring(a) .. tostring(b) .. c .. tostring(d))"),
            "1nilxback");
}

TEST_F(scripts, code_that_wants_more_memory_than_there_is_fails_and_the_next_does_not) {
  make(12 << 20);
  const std::vector<std::string> hogs = {
      "local t = {} for i = 1, 1e15 do t[i] = { i } end",
      "local s = 'x' while true do s = s .. s end",
      "local s = ('x'):rep(1e9)",
      "local t = {} while true do t[#t + 1] = coroutine.wrap(function() coroutine.yield() end) t[#t]() end",
      "local t = {} while true do t[#t + 1] = ngx.thread.spawn(function() ngx.sleep(60) end) end",
      "local t = {} while true do t[#t + 1] = ngx.thread.spawn(function() return ('x'):rep(100) end) end",
      "local t = {} ngx.sleep(0.001) while true do t[#t + 1] = ngx.encode_base64(#t .. ('x'):rep(1000)) end",
      "local t = {} while true do t[#t + 1] = function() return t end end",
      "local ffi = require('ffi') local t = {} while true do t[#t + 1] = ffi.new('char[?]', 4096) end",
      "local t = {} while true do t[#t + 1] = ngx.socket.tcp() end",
      "coroutine.wrap(function() local t = {} while true do t[#t + 1] = { #t } end end)()",
      "local t = {} table.sort({ 3, 2, 1 }, function(a, b) while true do t[#t + 1] = { a } end end)",
      "local t = {} while true do t[#t + 1] = ngx.re.gsub(#t .. ('a'):rep(500), 'a', 'b', 'jo') end",
  };
  for (int round = 0; round < 4; ++round) {
    for (const std::string& hog : hogs) {
      const std::string answer = run(hog);
      EXPECT_NE(answer.find("not enough memory: the VM has "), std::string::npos) << hog << ": " << answer;
      EXPECT_NE(answer.find(" of the 12288k of \"lua_max_memory\""), std::string::npos) << answer;
      EXPECT_EQ(run("return 'fine'"), "fine") << hog;
    }
  }
}

TEST_F(scripts, garbage_alone_fails_nobody) {
  make(24 << 20);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run(R"(
        local live = {}
        for i = 1, 40000 do live[i] = "live" .. i .. ("x"):rep(200) end
        local n = 0
        for i = 1, 400000 do n = n + #(i .. ("g"):rep(300)) end
        return #live)"),
              "40000");
  }
}

TEST_F(scripts, a_memory_error_can_be_caught) {
  make(12 << 20);
  EXPECT_EQ(run("return (select(2, pcall(function() local t = {} while true do t[#t + 1] = { #t } end end)))"),
            "not enough memory");
}

TEST(memory_cap, that_no_vm_fits_in_is_an_error) {
  vm_options options;
  options.max_memory = 64 << 10;
  auto made = vm::create(std::move(options));
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().find("of the 64k of \"lua_max_memory\""), std::string::npos) << made.error();
}

}  // namespace troupe::lua
