// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/rewrite.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "actors/exchange_actor.hpp"
#include "actors/match_pattern.hpp"
#include "actors/shard_release.hpp"
#include "net/uri.hpp"

namespace troupe::actors {

using net::direction;
using net::log_level;

namespace {

// Bit of exchange.step that says that a set_by_lua waits at the operation in the lower bits.
constexpr std::uint32_t in_lua = 1u << 31;

}  // namespace

verdict rewrite_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  const rewrite_program& program = *program_;
  if (!x.stage_entered) x.step = 0;
  x.next = direction::onward;
  while ((x.step & ~in_lua) < program.size()) {
    const rewrite_operation& op = program[x.step & ~in_lua];
    if (op.what == rewrite_operation::kind::jump_unless) {
      x.step = holds(box, op.condition) ? x.step + 1 : static_cast<std::uint32_t>(op.target);
      continue;
    }
    switch (run(box, op)) {
      case step::onward: x.step = (x.step & ~in_lua) + 1; break;
      case step::stop: x.step = static_cast<std::uint32_t>(program.size()); break;
      case step::leave: return verdict::leave;
      case step::wait: return verdict::wait;
    }
  }
  if (x.uri_changed && box.place != nullptr) {
    x.next = direction::reroute;
    return verdict::leave;
  }
  x.uri_changed = false;
  // What follows this stage is the block's own chain, once this one is through.
  if (box.next_stages != nullptr) {
    box.stages = std::exchange(box.next_stages, nullptr);
    x.position = static_cast<std::uint32_t>(-1);
  }
  return verdict::next;
}

rewrite_stage::step rewrite_stage::run(exchange_box& box, const rewrite_operation& op) {
  net::exchange& x = box.x;
  const net::variable_table& variables = box.release->configuration().variables;
  switch (op.what) {
    case rewrite_operation::kind::set:
      variables.set(x, op.variable, op.value.evaluate(x, variables));
      return step::onward;
    case rewrite_operation::kind::give_back: return give_back(box, op);
    case rewrite_operation::kind::rewrite: return rewrite(box, op);
    case rewrite_operation::kind::stop: x.uri_changed = false; return step::stop;
    case rewrite_operation::kind::set_by_lua: return set_by_lua(box, op);
    case rewrite_operation::kind::enter_block: {
      box.use(*op.block);
      box.next_stages = &box.release->stages_of(*op.block);
      return step::onward;
    }
    case rewrite_operation::kind::jump_unless: break;
  }
  return step::onward;
}

rewrite_stage::step rewrite_stage::give_back(exchange_box& box, const rewrite_operation& op) {
  net::exchange& x = box.x;
  x.next = direction::finish;
  x.final_status = op.status;
  if (!op.has_text) return step::leave;
  const std::string_view text =
      op.value.evaluate(x, box.release->configuration().variables);
  if (op.status == 301 || op.status == 302 || op.status == 303 || op.status == 307 ||
      op.status == 308) {
    x.response_headers.set("Location", text);
    return step::leave;
  }
  if (op.status == 204 || op.status == 444) return step::leave;
  // A text of its own replaces the error page.
  x.status = op.status;
  x.final_status = 0;
  x.response_length = static_cast<std::int64_t>(text.size());
  if (x.content_type.empty()) x.content_type = x.settings->default_type;
  x.body_out.append(text);
  return step::leave;
}

rewrite_stage::step rewrite_stage::rewrite(exchange_box& box, const rewrite_operation& op) {
  net::exchange& x = box.x;
  if (!match_pattern(*op.pattern, x.uri, x, box.release->configuration().variables)) return step::onward;
  std::string_view target = op.value.evaluate(x, box.release->configuration().variables);
  const bool is_redirect = op.how == rewrite_operation::flag::redirect ||
                           op.how == rewrite_operation::flag::permanent ||
                           target.starts_with("http://") || target.starts_with("https://") ||
                           target.starts_with("$scheme");
  bool keeps_args = true;
  if (target.ends_with('?')) {
    target.remove_suffix(1);
    keeps_args = false;
  }
  std::string_view path = target;
  std::string_view args;
  bool has_args = false;
  if (const auto question = target.find('?'); question != std::string_view::npos) {
    path = target.substr(0, question);
    args = target.substr(question + 1);
    has_args = true;
  }
  std::string all(args);
  if (keeps_args && !x.args.empty()) {
    if (has_args && !all.empty()) all += '&';
    all += x.args;
  }
  if (is_redirect) {
    std::string location(path);
    if (!all.empty()) location += "?" + all;
    x.response_headers.set("Location", x.keep(location));
    x.next = direction::finish;
    x.final_status = op.how == rewrite_operation::flag::permanent ? 301 : 302;
    return step::leave;
  }
  if (path.empty()) {
    if (x.enabled(log_level::error)) x.write(log_level::error, "the rewritten URI has a zero length");
    x.next = direction::finish;
    x.final_status = 500;
    return step::leave;
  }
  x.uri = x.keep(path);
  x.args = x.keep(all);
  x.valid_unparsed_uri = false;
  x.is_internal = true;
  switch (op.how) {
    case rewrite_operation::flag::last: x.uri_changed = true; return step::stop;
    case rewrite_operation::flag::stop: x.uri_changed = false; return step::stop;
    default: x.uri_changed = true; return step::onward;
  }
}

rewrite_stage::step rewrite_stage::set_by_lua(exchange_box& box, const rewrite_operation& op) {
  net::exchange& x = box.x;
  const net::variable_table& variables = box.release->configuration().variables;
  if ((x.step & in_lua) == 0) {
    const auto chunk = op.code.find(box);
    if (!chunk) {
      x.next = direction::finish;
      x.final_status = 500;
      return step::leave;
    }
    if (!box.handler) box.handler.emplace(box.release->machine(), *box.owner);
    x.step |= in_lua;
    x.set_arguments.clear();
    for (const net::complex_value& argument : op.arguments) {
      x.set_arguments.push_back(x.keep(argument.evaluate(x, variables)));
    }
    box.handler->start(*chunk, lua::phase::set, &x, x);
  }
  lua::script& script = *box.handler;
  switch (script.state()) {
    case lua::script::progress::waiting: return step::wait;
    case lua::script::progress::failed:
      if (x.enabled(log_level::error)) {
        x.write(log_level::error, "failed to run set_by_lua*: " + script.error());
      }
      x.next = direction::finish;
      x.final_status = 500;
      return step::leave;
    case lua::script::progress::stopped: return step::leave;
    case lua::script::progress::done: break;
  }
  std::string_view value;
  if (script.result_count() > 0) {
    std::size_t size = 0;
    if (lua_type(script.results(), 1) == LUA_TBOOLEAN) {
      value = lua_toboolean(script.results(), 1) != 0 ? "true" : "false";
    } else if (const char* text = lua_tolstring(script.results(), 1, &size); text != nullptr) {
      value = {text, size};
    }
  }
  variables.set(x, op.variable, value);
  return step::onward;
}

bool rewrite_stage::holds(exchange_box& box, const rewrite_condition& condition) {
  net::exchange& x = box.x;
  const net::variable_table& variables = box.release->configuration().variables;
  const std::string_view subject = condition.subject.evaluate(x, variables);
  using test = rewrite_condition::test;
  switch (condition.how) {
    case test::is_true: return !subject.empty() && subject != "0";
    case test::equals: return subject == condition.operand.evaluate(x, variables);
    case test::differs: return subject != condition.operand.evaluate(x, variables);
    case test::matches: return match_pattern(*condition.pattern, subject, x, variables);
    case test::does_not_match: return !match_pattern(*condition.pattern, subject, x, variables);
    default: break;
  }
  struct stat info {};
  const std::string path(subject);
  bool found = ::stat(path.c_str(), &info) == 0;
  if (condition.how == test::is_file) found = found && S_ISREG(info.st_mode);
  if (condition.how == test::is_folder) found = found && S_ISDIR(info.st_mode);
  if (condition.how == test::is_executable) found = found && (info.st_mode & S_IXUSR) != 0;
  return found != condition.negated;
}

}  // namespace troupe::actors
