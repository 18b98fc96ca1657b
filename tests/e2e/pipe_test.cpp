// SPDX-License-Identifier: Apache-2.0
//
// ngx.pipe: children of requests, timers and workers, and what is left of them.
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <string>

#include <unistd.h>

#include "tests/support/process.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

// `spawn` and say(values…), which shows nil and false, but not those at the end: reading returns three
// values whatever there is to say.
constexpr const char* prelude = R"(
    init_by_lua_block {
      pipe = require "ngx.pipe"
      state = {}  -- Between requests.
      spawn = pipe.spawn
      function say(...)
        local texts = {}
        local count = select("#", ...)
        while count > 0 and (select(count, ...)) == nil do count = count - 1 end
        for i = 1, count do texts[i] = tostring((select(i, ...))) end
        ngx.say(table.concat(texts, " "))
      end
      function raised(f, ...) say(select(2, pcall(f, ...))) end
    }
)";

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = prelude + ("server { listen @port@; " + more +
                             " location = / { content_by_lua_block { " + code + " } } }"),
          .main = "env PATH;"};
}

/// Of a node that then leaves as it should, with nothing to complain about.
std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  std::string body = test_client(node).get("/").body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

std::ptrdiff_t descriptors_of(const test_node& node) {
  return std::distance(
      std::filesystem::directory_iterator("/proc/" + std::to_string(node.pid()) + "/fd"), {});
}

/// Children of the node that run or are zombies.
std::string children_of(const test_node& node) {
  return run({"ps", "--no-headers", "--ppid", std::to_string(node.pid()), "-o", "pid,stat,args"}).out;
}

void expect_no_children(const test_node& node) {
  std::string left;
  for (int i = 0; i < 2000 && !(left = children_of(node)).empty(); ++i) ::usleep(5000);
  EXPECT_EQ(left, "");
}

}  // namespace

TEST(pipe, runs_a_program_or_a_shell_and_says_how_it_ended) {
  EXPECT_EQ(answer(R"(
      say(spawn({ "true" }):wait())
      say(spawn({ "sh", "-c", "exit 3" }):wait())
      say(spawn("exit 4"):wait())
      say(spawn("kill -9 $$"):wait())
      say(spawn({ "sh", "-c", "exit $1", "sh", 5 }):wait())
      local proc = spawn("exit 6")
      say(type(proc:pid()), proc:stdout_read_all(), proc:wait())
      say(proc:wait())
      say(pipe.version))"),
            "true exit 0\nfalse exit 3\nfalse exit 4\nfalse signal 9\nfalse exit 5\n"
            "number  false exit 6\nnil exited\n0.1.33\n");
}

TEST(pipe, reads_all_lines_bytes_and_what_there_is) {
  EXPECT_EQ(answer(R"(
      local proc = spawn([[printf 'one\r\ntwo\nbytes rest'; read go; printf more]])
      say(proc:stdout_read_line())
      say(proc:stdout_read_line())
      say(proc:stdout_read_bytes(5), proc:stdout_read_bytes(0))
      say(proc:stdout_read_any(3))
      say(proc:stdout_read_any(100))
      proc:write("go\n")
      say(proc:stdout_read_any(100))
      say(proc:stdout_read_all())
      say(proc:stdout_read_any(1))
      say(proc:stdout_read_line())
      proc = spawn("printf 'cut off' >&2")
      say(proc:stderr_read_line())
      proc = spawn("printf 'cut' >&2")
      say(proc:stderr_read_bytes(10))
      proc = spawn("printf 'a\\n' >&2; echo b")
      say(proc:stderr_read_all(), proc:stdout_read_all()))"),
            "one\ntwo\nbytes \n re\nst\nmore\n\nnil closed \nnil closed \nnil closed cut off\n"
            "nil closed cut\na\n b\n\n");
}

TEST(pipe, counts_what_it_has_written) {
  EXPECT_EQ(answer(R"(
      local proc = spawn({ "cat" })
      say(proc:write("text"), proc:write(12), proc:write({ "a", 3, "c" }), proc:write(""))
      say(proc:shutdown("stdin"), proc:shutdown("stdin"), proc:write("late"))
      say(proc:stdout_read_all())
      say(proc:wait())
      say(proc:write("after"))
      say(proc:stdout_read_all())
      say(proc:shutdown("stdout")))"),
            "4 2 3 0\ntrue true nil closed\ntext12a3c\ntrue exit 0\nnil closed\nnil closed\nnil closed\n");
}

TEST(pipe, is_full_duplex_with_light_threads) {
  EXPECT_EQ(answer(R"(
      local proc = spawn({ "cat" })
      local size = 3 * 1024 * 1024
      local writer = ngx.thread.spawn(function()
        local written = proc:write(("x"):rep(size))
        proc:shutdown("stdin")
        return written
      end)
      local data = proc:stdout_read_all()
      say(#data == size, select(2, ngx.thread.wait(writer)) == size, proc:wait()))"),
            "true true true exit 0\n");
}

TEST(pipe, times_out_and_goes_on) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("printf part; read go; echo ' whole'; exec sleep 100",
                         { stderr_read_timeout = 5, wait_timeout = 5 })
      local data = proc:stdout_read_bytes(4)
      proc:set_timeouts(nil, 5)
      say(data, proc:stdout_read_line())
      say(proc:stderr_read_any(1))
      say(proc:wait())
      proc:set_timeouts(nil, 10000, nil, 0)
      proc:write("\n")
      say(proc:stdout_read_line())
      say(proc:kill(15), proc:wait()))"),
            "part nil timeout \nnil timeout \nnil timeout\n whole\ntrue false signal 15\n");
}

TEST(pipe, gives_what_was_read_before_a_time_out) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("printf ' par\\rt'; exec sleep 100")
      local first = proc:stdout_read_bytes(1)
      proc:set_timeouts(nil, 5)
      say(first, proc:stdout_read_line()))"),
            "  nil timeout part\n");
}

TEST(pipe, a_child_that_never_reads_times_out_its_writer) {
  EXPECT_EQ(answer(R"(
      local proc = spawn({ "sleep", 100 }, { write_timeout = 20 })
      say(proc:write(("x"):rep(1024 * 1024)))
      say(proc:write("more"))
      local writer = ngx.thread.spawn(function() return proc:write("blocked") end)
      say(proc:write("second"))
      say(ngx.thread.wait(writer))
      say(proc:kill(9), proc:wait()))"),
            "nil timeout\nnil timeout\nnil pipe busy writing\ntrue nil timeout\ntrue false signal 9\n");
}

TEST(pipe, one_coroutine_at_a_time_waits_for_the_same_thing) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("read go; echo out; echo err >&2; read go; exit 5")
      local threads = {
        ngx.thread.spawn(function() return "out", proc:stdout_read_line() end),
        ngx.thread.spawn(function() return "err", proc:stderr_read_line() end),
        ngx.thread.spawn(function() return "end", proc:wait() end) }
      say(proc:stdout_read_any(1))
      say(proc:stderr_read_all())
      say(proc:wait())
      proc:write("go\n")
      say(ngx.thread.wait(threads[1]))
      say(ngx.thread.wait(threads[2]))
      proc:write("go\n")
      say(ngx.thread.wait(threads[3]))
      say(proc:wait()))"),
            "nil pipe busy reading\nnil pipe busy reading\nnil pipe busy waiting\n"
            "true out out\ntrue err err\ntrue end false exit 5\nnil exited\n");
}

TEST(pipe, a_shutdown_aborts_who_waits) {
  EXPECT_EQ(answer(R"(
      local proc = spawn({ "sleep", 100 })
      local function waiting(f, ...) return ngx.thread.spawn(f, proc, ...) end
      local out = waiting(proc.stdout_read_line)
      local err = waiting(proc.stderr_read_all)
      local writer = waiting(proc.write, ("x"):rep(1024 * 1024))
      say(proc:shutdown("stdout"), proc:shutdown("stderr"), proc:shutdown("stdin"))
      say(proc:stdout_read_line())
      say(ngx.thread.wait(out))
      say(ngx.thread.wait(err))
      say(ngx.thread.wait(writer))
      say(proc:stdout_read_line())
      say(proc:stderr_read_line())
      say(proc:write("x"))
      say(proc:kill(15), proc:wait()))"),
            "true true true\nnil pipe busy reading\ntrue nil aborted \ntrue nil aborted \n"
            "true nil aborted\nnil closed\nnil closed\nnil closed\ntrue false signal 15\n");
}

TEST(pipe, a_killed_light_thread_loses_nothing) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("printf half; read go; echo ' and half'; read go; exit 2")
      proc:stdout_read_bytes(1)
      ngx.thread.kill(ngx.thread.spawn(proc.stdout_read_line, proc))
      ngx.thread.kill(ngx.thread.spawn(proc.wait, proc))
      proc:write("go\n")
      say(proc:stdout_read_line())
      proc:write("go\n")
      say(proc:wait()))"),
            "alf and half\nfalse exit 2\n");
}

TEST(pipe, merges_stderr_into_stdout) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("echo out; echo err >&2", { merge_stderr = true })
      say(proc:stderr_read_all())
      say(proc:stderr_read_any(1))
      say(proc:shutdown("stderr"))
      say(proc:stdout_read_all()))"),
            "nil merged to stdout\nnil merged to stdout\nnil merged to stdout\nout\nerr\n\n");
}

TEST(pipe, gives_the_environment_that_was_asked_for) {
  test_node_options options = with(R"(
      say(spawn({ "/usr/bin/env" }, { environ = { "A=1", "B=", "C=two words" } }):stdout_read_all())
      say(spawn("echo $GIVEN, $HIDDEN"):stdout_read_line())
      say(spawn("echo $GIVEN, $HIDDEN", { environ = {} }):stdout_read_line()))");
  options.main += " env GIVEN;";
  options.environment = {{"GIVEN", "given"}, {"HIDDEN", "hidden"}};
  test_node node(options);
  EXPECT_EQ(test_client(node).get("/").body, "A=1\nB=\nC=two words\n\ngiven,\ngiven,\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(pipe, a_program_that_does_not_exist_exits_with_1_and_is_logged) {
  test_node node(with(R"(
      say(spawn({ "/no/such/program", "x" }):wait())
      say(spawn({ "no-such-program" }, { environ = { "A=1" } }):wait()))"));
  EXPECT_EQ(test_client(node).get("/").body, "false exit 1\nfalse exit 1\n");
  EXPECT_EQ(node.stop(), 0);
  const auto lines = node.log_lines(level::warn);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("lua pipe child execvp() failed while executing /no/such/program (2: No "
                          "such file or directory)"),
            std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find("lua pipe child execvpe() failed while executing no-such-program (2: "),
            std::string::npos)
      << lines[1];
}

TEST(pipe, kills_with_any_signal_that_there_is) {
  EXPECT_EQ(answer(R"(
      local proc = spawn("trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.01; done")
      proc:stdout_read_line()
      say(proc:kill(10000))
      say(proc:kill(0), proc:kill(10))
      say(proc:stdout_read_line())
      say(proc:wait())
      say(proc:kill(9)))"),
            "nil invalid signal\ntrue true\ngot it\nfalse exit 9\nnil exited\n");
}

TEST(pipe, says_what_is_wrong_with_its_arguments) {
  EXPECT_EQ(answer(R"(
      raised(spawn)
      raised(spawn, {})
      raised(spawn, { "true" }, { buffer_size = 0 })
      raised(spawn, { "true" }, { buffer_size = true })
      raised(spawn, { "true" }, { environ = "A=1" })
      raised(spawn, { "true" }, { environ = { "A=1", 2 } })
      raised(spawn, { "true" }, { environ = { "A" } })
      raised(spawn, { "true" }, { environ = { "=A" } })
      raised(spawn, { "true" }, { write_timeout = -1 })
      raised(spawn, { "true" }, { stdout_read_timeout = 2 ^ 32 })
      raised(spawn, { "true" }, { stderr_read_timeout = -1 })
      raised(spawn, { "true" }, { wait_timeout = -1 })
      local proc = spawn({ "sleep", 100 }, { buffer_size = "1" })
      raised(proc.set_timeouts, proc, -1)
      raised(proc.set_timeouts, proc, 0, 0, 0, 2 ^ 32)
      raised(proc.set_timeouts, proc, 2 ^ 32 - 1, nil, 0, 0)
      raised(proc.kill, proc)
      raised(proc.kill, proc, "9")
      raised(proc.shutdown, proc, "all")
      raised(proc.shutdown, proc, 0)
      raised(proc.write, proc, true)
      raised(proc.write, proc)
      raised(proc.write, proc, ngx.null)
      raised(proc.stdout_read_bytes, proc, -1)
      raised(proc.stderr_read_any, proc, 0)
      raised(proc.stdout_read_any, proc, "x")
      raised(proc.wait)
      raised(proc.wait, io.stdout))"),
            "bad args arg: table expected, got nil\n"
            "bad args arg: non-empty table expected\n"
            "bad buffer_size option\n"
            "bad buffer_size option\n"
            "bad environ option: table expected, got string\n"
            "bad value at index 2 of environ option: string expected, got number\n"
            "bad value at index 1 of environ option: 'name=[value]' format expected, got 'A'\n"
            "bad value at index 1 of environ option: 'name=[value]' format expected, got '=A'\n"
            "bad write_timeout option\n"
            "bad stdout_read_timeout option\n"
            "bad stderr_read_timeout option\n"
            "bad wait_timeout option\n"
            "bad write_timeout option\n"
            "bad wait_timeout option\n"
            "\n"
            "bad signal arg: number expected, got nil\n"
            "bad signal arg: number expected, got 9\n"
            "bad shutdown arg: all\n"
            "bad shutdown arg: 0\n"
            "bad data arg: string, number, or table expected, got boolean\n"
            "bad data arg: string, number, or table expected, got nil\n"
            "bad data arg: string, number, or table expected, got userdata\n"
            "bad len argument\n"
            "bad max argument\n"
            "bad max argument\n"
            "not a process instance\n"
            "not a process instance\n");
}

// If reading from a child that never stops held the shard, /enough could not answer.
TEST(pipe, a_flood_leaves_the_shard_to_others) {
  test_node node(with(R"(
      local proc = spawn({ "yes" })
      local reader = ngx.thread.spawn(proc.stdout_read_all, proc)
      state.reads = true
      while not state.enough do ngx.sleep(0.001) end
      proc:shutdown("stdout")
      local _, data, err, partial = ngx.thread.wait(reader)
      say(data, err, #partial == 0 or partial:sub(1, 4) == "y\ny\n", proc:wait()))",
                      R"(location = /enough { content_by_lua_block {
        while not state.reads do ngx.sleep(0.001) end
        state.enough = true ngx.print("noticed") } })"));
  test_client client(node);
  auto flooded = client.start("GET /");
  EXPECT_EQ(client.get("/enough").body, "noticed");
  EXPECT_EQ(flooded.response().body, "nil aborted true false signal 13\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(pipe, belongs_to_the_whole_request_and_ends_with_it) {
  test_node node(with(R"(
      state.proc = spawn({ "sleep", 1000 })
      ngx.print(ngx.location.capture("/part").body)
      say(state.proc:kill(0), state.made_in_part:kill(0)))",
                      R"(location = /part { content_by_lua_block {
        state.made_in_part = spawn({ "sleep", 1000 })
        say(state.proc:kill(0)) } }
      location = /still { content_by_lua_block {
        local proc = state.proc
        say(proc:kill(0)) say(proc:wait()) say(proc:stdout_read_all()) say(proc:write("x"))
        say(proc:shutdown("stdin")) say(state.made_in_part:kill(0)) } })"));
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "true\ntrue true\n");
  EXPECT_EQ(client.get("/still").body,
            "nil exited\nnil exited\nnil closed\nnil closed\nnil closed\nnil exited\n");
  expect_no_children(node);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(pipe, another_request_that_waits_learns_of_the_owners_end) {
  test_node node(with("",
                      R"(location = /owner { content_by_lua_block {
        state.shared = spawn({ "sleep", 1000 })
        while not state.waits do ngx.sleep(0.001) end
        ngx.say("spawned") } }
      location = /other { content_by_lua_block {
        while not state.shared do ngx.sleep(0.001) end
        local reader = ngx.thread.spawn(state.shared.stdout_read_all, state.shared)
        state.waits = true
        say(state.shared:wait())
        say(ngx.thread.wait(reader)) } })"));
  test_client client(node);
  auto owner = client.start("GET /owner");
  EXPECT_EQ(client.get("/other").body, "nil exited\ntrue nil closed \n");
  EXPECT_EQ(owner.response().body, "spawned\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(pipe, the_garbage_collector_kills_who_is_forgotten) {
  test_node node(with(R"(
      local pids = {}
      for i = 1, 3 do pids[i] = spawn({ "sleep", 1000 }):pid() end
      local any = "for pid in " .. table.concat(pids, " ") ..
                  "; do kill -0 $pid 2>/dev/null && exit 0; done; exit 1"
      repeat collectgarbage() until not spawn(any):wait()  -- kill -0 finds zombies too.
      ngx.say("gone"))"));
  EXPECT_EQ(test_client(node).get("/").body, "gone\n");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(pipe, the_child_of_who_waits_is_not_collected) {
  EXPECT_EQ(answer(R"(
      local collector = ngx.thread.spawn(function()
        for i = 1, 20 do collectgarbage() ngx.sleep(0.001) end
      end)
      say(spawn("sleep 0.05; exit 3"):wait())
      say(spawn("sleep 0.05; echo out"):stdout_read_line()))"),
            "false exit 3\nout\n");
}

TEST(pipe, works_in_timers_workers_and_every_phase) {
  test_node node({.conf = prelude + std::string(R"(
      init_worker_by_lua_block {
        state.in_worker = spawn("echo worker"):stdout_read_line()
        state.left_over = spawn({ "sleep", 1000 })
        ngx.timer.at(0, function()
          local proc = spawn("read line; echo timer $line")
          proc:write("says\n")
          state.in_timer = proc:stdout_read_line()
        end)
      }
      server { listen @port@;
        location = / {
          set_by_lua_block $set { return spawn("echo set"):stdout_read_line() }
          rewrite_by_lua_block { ngx.ctx.said = { ngx.var.set, (spawn("echo rewrite"):stdout_read_line()) } }
          access_by_lua_block { table.insert(ngx.ctx.said, (spawn("echo access"):stdout_read_line())) }
          content_by_lua_block {
            while not state.in_timer do ngx.sleep(0.001) end
            ngx.say(table.concat(ngx.ctx.said, " "), " ", state.in_worker, " ", state.in_timer, " ",
                    tostring(select(2, state.left_over:kill(0)))) }
          header_filter_by_lua_block { ngx.header.x_filter = spawn("echo header"):stdout_read_line() }
          log_by_lua_block { ngx.log(ngx.WARN, "in log: ", (spawn("echo log"):stdout_read_line())) }
        }
      })"),
                  .main = "env PATH;"});
  const response got = test_client(node).get("/");
  EXPECT_EQ(got.body, "set rewrite access worker timer says exited\n");
  EXPECT_EQ(got.header("X-Filter"), "header");
  EXPECT_TRUE(node.logs("in log: log"));
  expect_no_children(node);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(pipe, is_refused_in_init) {
  test_node node({.conf = R"(init_by_lua_block {
        refusal = select(2, pcall(require("ngx.pipe").spawn, { "true" })) }
      server { listen @port@; location = / { content_by_lua_block { ngx.print(refusal) } } })"});
  EXPECT_EQ(test_client(node).get("/").body, "API disabled in the current context");
  EXPECT_EQ(node.stop(), 0);
}

TEST(pipe, two_hundred_children_leave_nothing_behind) {
  test_node node(with(R"(
      for i = 1, 20 do
        if i % 4 == 0 then spawn({ "sleep", 1000 })                     -- killed at the request's end
        elseif i % 4 == 1 then spawn("echo unread; exit 1"):wait()
        elseif i % 4 == 2 then spawn({ "cat" }):write("never read")
        else spawn("echo x"):stdout_read_all() end                      -- not waited for
      end
      ngx.say("done"))"));
  test_client client(node);
  EXPECT_EQ(client.get("/").body, "done\n");
  expect_no_children(node);
  const auto before = descriptors_of(node);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.get("/").body, "done\n");
  expect_no_children(node);
  EXPECT_EQ(descriptors_of(node), before);
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
}

TEST(pipe, a_client_that_goes_takes_the_child_along) {
  test_node node(with(R"(spawn({ "sleep", 1000 }, { wait_timeout = 0 }):wait())",
                      "lua_check_client_abort on;"));
  {
    auto waiting = test_client(node).start("GET /");
    for (int i = 0; i < 2000 && children_of(node).empty(); ++i) ::usleep(5000);
    EXPECT_NE(children_of(node), "");
  }
  expect_no_children(node);
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
