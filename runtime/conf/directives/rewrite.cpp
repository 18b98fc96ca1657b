// SPDX-License-Identifier: Apache-2.0
//
// `set`, `if`, `rewrite`, `return`, `break`.
//
// Source   https://nginx.org/en/docs/http/ngx_http_rewrite_module.html.
#include "runtime/conf/directives/rewrite.hpp"

#include "actors/stages/lua_stage.hpp"
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {

actors::rewrite_operation& add_operation(builder& b, actors::rewrite_operation::kind what) {
  scope& here = b.here();
  if (!here.program) here.program = std::make_shared<actors::rewrite_program>();
  here.program->push_back({});
  here.program->back().what = what;
  return here.program->back();
}

net::variable_index define_variable(builder& b, const directive& d, std::string_view name) {
  if (name.size() < 2 || name.front() != '$') {
    b.fail(d, "invalid variable name \"" + std::string(name) + "\"");
    return -1;
  }
  const auto index = b.site().variables.define(name.substr(1));
  if (index < 0) {
    b.fail(d, "the duplicate \"" + std::string(name.substr(1)) + "\" variable");
  }
  return index;
}

namespace {

using actors::rewrite_condition;
using actors::rewrite_operation;

void set(builder& b, const directive& d) {
  const auto variable = define_variable(b, d, d.args[0]);
  const auto value = b.value(d, d.args[1]);
  auto& op = add_operation(b, rewrite_operation::kind::set);
  op.variable = variable;
  op.value = *value;
}

void give_back(builder& b, const directive& d) {
  const std::string& first = d.args[0];
  int status = 0;
  bool has_text = false;
  std::shared_ptr<const net::complex_value> text;
  const auto number = number_in(first);
  if (!number) {
    if (d.args.size() == 1 &&
        (first.starts_with("http://") || first.starts_with("https://") || first.starts_with("$scheme"))) {
      status = 302;
      has_text = true;
      text = b.value(d, first);
    } else {
      b.fail(d, "invalid return code \"" + first + "\"");
      return;
    }
  } else {
    if (*number > 999) {
      b.fail(d, "invalid return code \"" + first + "\"");
      return;
    }
    status = static_cast<int>(*number);
    if (d.args.size() > 1) {
      has_text = true;
      text = b.value(d, d.args[1]);
    }
  }
  auto& op = add_operation(b, rewrite_operation::kind::give_back);
  op.status = status;
  op.has_text = has_text;
  if (text) op.value = *text;
}

void rewrite(builder& b, const directive& d) {
  const auto pattern = b.compile_regex(d, d.args[0], false);
  const auto replacement = b.value(d, d.args[1]);
  auto how = rewrite_operation::flag::none;
  if (d.args.size() == 3) {
    const std::string& flag = d.args[2];
    if (flag == "last") how = rewrite_operation::flag::last;
    else if (flag == "break") how = rewrite_operation::flag::stop;
    else if (flag == "redirect") how = rewrite_operation::flag::redirect;
    else if (flag == "permanent") how = rewrite_operation::flag::permanent;
    else {
      b.fail(d, "invalid parameter \"" + flag + "\"");
      return;
    }
  }
  if (!pattern) return;
  auto& op = add_operation(b, rewrite_operation::kind::rewrite);
  op.pattern = pattern;
  op.value = *replacement;
  op.how = how;
}

void stop(builder& b, const directive&) { add_operation(b, rewrite_operation::kind::stop); }

// `( $a ~* "x" )`, with or without spaces at the parentheses.
bool read_condition(builder& b, const directive& d, rewrite_condition& out) {
  std::vector<std::string> words = d.args;
  if (words.empty() || !words.front().starts_with('(') || !words.back().ends_with(')')) {
    b.fail(d, "invalid condition \"" + (words.empty() ? std::string() : words.front()) + "\"");
    return false;
  }
  words.front().erase(0, 1);
  words.back().pop_back();
  std::erase(words, std::string());
  if (words.empty()) {
    b.fail(d, "invalid condition \"()\"");
    return false;
  }
  using test = rewrite_condition::test;
  std::string_view file_test = words.front();
  const bool negated = file_test.starts_with('!');
  if (negated) file_test.remove_prefix(1);
  if (file_test.size() == 2 && file_test.front() == '-' && words.size() == 2) {
    switch (file_test[1]) {
      case 'f': out.how = test::is_file; break;
      case 'd': out.how = test::is_folder; break;
      case 'e': out.how = test::exists; break;
      case 'x': out.how = test::is_executable; break;
      default: b.fail(d, "invalid condition \"" + words.front() + "\""); return false;
    }
    out.negated = negated;
    out.subject = *b.value(d, words[1]);
    return true;
  }
  if (!words.front().starts_with('$')) {
    b.fail(d, "invalid condition \"" + words.front() + "\"");
    return false;
  }
  out.subject = *b.value(d, words.front());
  if (words.size() == 1) return true;
  if (words.size() != 3) {
    b.fail(d, "invalid condition \"" + words[1] + "\"");
    return false;
  }
  const std::string& operation = words[1];
  if (operation == "=" || operation == "!=") {
    out.how = operation == "=" ? test::equals : test::differs;
    out.operand = *b.value(d, words[2]);
    return true;
  }
  if (operation == "~" || operation == "~*" || operation == "!~" || operation == "!~*") {
    out.how = operation.front() == '!' ? test::does_not_match : test::matches;
    out.pattern = b.compile_regex(d, words[2], operation.ends_with('*'));
    return out.pattern != nullptr;
  }
  b.fail(d, "unexpected \"" + operation + "\" in condition");
  return false;
}

bool only_rewrites(const std::vector<directive>& block) {
  for (const directive& d : block) {
    if (d.name != "set" && d.name != "return" && d.name != "rewrite" && d.name != "break" &&
        !d.name.starts_with("set_by_lua")) {
      return false;
    }
  }
  return true;
}

// The block's rewrite directives are part of the program around it; what else it holds makes it a
// location of its own, entered when the condition holds.
void if_block(builder& b, const directive& d) {
  rewrite_condition condition;
  if (!read_condition(b, d, condition)) return;
  const std::size_t jump = b.here().program ? b.here().program->size() : 0;
  add_operation(b, rewrite_operation::kind::jump_unless).condition = std::move(condition);
  const bool in_server = b.here().where == context::server;

  scope inner = b.here();
  inner.where = in_server ? context::if_in_server : context::if_in_location;
  inner.seen.clear();
  const std::shared_ptr<actors::rewrite_program> program = b.here().program;
  if (!in_server && !only_rewrites(d.children)) {
    actors::virtual_server& owner = *b.here().server;
    owner.places.push_back(std::make_unique<actors::location>());
    actors::location& place = *owner.places.back();
    place.name = "if";
    add_operation(b, rewrite_operation::kind::enter_block).block = &place;
    b.enter(d, inner);
    inner.where = context::location;
    inner.program.reset();  // It has run by the time the block's chain begins.
    b.finish_location(place, inner);
  } else {
    b.enter(d, inner);
  }
  (*program)[jump].target = program->size();
}

constexpr context_set everywhere =
    context::server | context::location | context::if_in_server | context::if_in_location;

constexpr directive_row rows[] = {
    {.name = "set", .contexts = everywhere, .arguments = takes::two, .syntax = "$variable value",
     .merge = merging::none, .help = "Gives a variable a value.", .apply = set},
    {.name = "return", .contexts = everywhere, .arguments = takes::one | takes::two,
     .syntax = "code [text | URL] | URL", .merge = merging::none,
     .help = "Ends the request with a status.", .apply = give_back},
    {.name = "rewrite", .contexts = everywhere, .arguments = takes::two | takes::three,
     .syntax = "regex replacement [last | break | redirect | permanent]", .merge = merging::none,
     .help = "Changes a URI that matches.", .apply = rewrite},
    {.name = "break", .contexts = everywhere, .arguments = takes::none, .syntax = "",
     .merge = merging::none, .help = "Ends the rewrite directives.", .apply = stop},
    {.name = "if", .contexts = context::server, .arguments = takes::one_or_more,
     .syntax = "(condition) { … }", .merge = merging::none,
     .help = "Runs the block when the condition holds.", .apply = if_block,
     .body = body_kind::block, .opens = context::if_in_server},
    {.name = "if", .contexts = context::location, .arguments = takes::one_or_more,
     .syntax = "(condition) { … }", .merge = merging::none,
     .help = "Makes the block hold when the condition does.", .apply = if_block,
     .body = body_kind::block, .opens = context::if_in_location},
    {.name = "rewrite_log", .contexts = http_server_location_if, .arguments = takes::flag,
     .syntax = "on | off", .standard = "off", .help = "Accepted without effect.", .apply = accept},
    {.name = "uninitialized_variable_warn", .contexts = http_server_location_if,
     .arguments = takes::flag, .syntax = "on | off", .standard = "on",
     .help = "Accepted without effect.", .apply = accept},
};

}  // namespace

const directive_module rewrite_module{"ngx_http_rewrite_module", "Changing URIs and answering early.", rows};

}  // namespace troupe::conf
