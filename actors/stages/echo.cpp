// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/echo.hpp"

#include <cstdlib>

#include "actors/exchange_actor.hpp"
#include "actors/shard_release.hpp"
#include "actors/stage_subrequest.hpp"
#include "net/http1_parser.hpp"

namespace troupe::actors {

using net::exchange_owner;

namespace {
// Bit of exchange.step: the command at the lower bits has begun and waits.
constexpr std::uint32_t begun = 1u << 31;

void say(exchange_box& box, const echo_command& command) {
  net::exchange& x = box.x;
  const net::variable_table& variables = box.release->configuration().variables;
  bool first = true;
  for (const net::complex_value& argument : command.arguments) {
    if (!std::exchange(first, false)) x.body_out.append(' ');
    x.body_out.append(argument.evaluate(x, variables));
  }
  if (!command.no_newline) x.body_out.append('\n');
}

// Each command's output is a piece of its own for body filters, which may wait.
verdict pass_filters(exchange_box& box) {
  net::exchange& x = box.x;
  if (!x.has_body_filter) return verdict::next;
  switch (x.owner->filter(x, false)) {
    case exchange_owner::progress::done: return verdict::next;
    case exchange_owner::progress::failed: return finish(box, -1);
    case exchange_owner::progress::waiting: break;
  }
  x.step |= begun;
  x.stage_waits_filter = true;
  return verdict::wait;
}

// `echo_location URI [ARGS]`, `echo_subrequest METHOD URI [-q ARGS] [-b BODY] [-f FILE]`.
std::unique_ptr<net::subrequest> make_subrequest(exchange_box& box, const echo_command& command) {
  net::exchange& x = box.x;
  std::vector<std::string> words;
  for (const net::complex_value& argument : command.arguments) {
    words.emplace_back(argument.evaluate(x, box.release->configuration().variables));
  }
  auto made = std::make_unique<stage_subrequest>(box);
  made->with_error_pages = true;
  std::size_t next = 0;
  if (command.what == echo_command::kind::subrequest) {
    made->method_name = words[next++];
    made->method = net::method_bit(made->method_name);
  }
  made->uri = words[next++];
  if (const auto question = made->uri.find('?'); question != std::string::npos) {
    made->args = made->uri.substr(question + 1);
    made->uri.resize(question);
  }
  if (command.what == echo_command::kind::location) {
    if (next < words.size()) made->args = words[next];
    return made;
  }
  for (; next + 1 < words.size(); next += 2) {
    const std::string& value = words[next + 1];
    if (words[next] == "-q") {
      made->args = value;
    } else if (words[next] == "-b") {
      made->has_body = true;
      made->body = value;
    } else if (words[next] == "-f") {
      const std::string path =
          value.starts_with('/') ? value : box.release->configuration().prefix + value;
      net::request_body file;
      made->has_body = true;
      std::error_code error = file.assign_file(path, false);
      if (!error) error = file.copy_to(made->body);
      if (error && x.enabled(net::log_level::error)) {
        x.write(net::log_level::error, "open() \"" + path + "\" failed: " + error.message());
      }
    }
  }
  return made;
}
}  // namespace

verdict echo_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  const net::variable_table& variables = box.release->configuration().variables;
  const auto& commands = program_->commands;
  if (!x.stage_entered) x.step = 0;
  while ((x.step & ~begun) < commands.size()) {
    const echo_command& command = commands[x.step & ~begun];
    const bool resumed = (x.step & begun) != 0;
    switch (command.what) {
      case echo_command::kind::say:
        if (!resumed) {
          say(box, command);
          if (const verdict v = pass_filters(box); v != verdict::next) return v;
        }
        break;
      case echo_command::kind::duplicate: {
        if (resumed) break;
        const int times = std::atoi(std::string(command.arguments[0].evaluate(x, variables)).c_str());
        const std::string_view text = command.arguments[1].evaluate(x, variables);
        for (int i = 0; i < times; ++i) x.body_out.append(text);
        if (const verdict v = pass_filters(box); v != verdict::next) return v;
        break;
      }
      case echo_command::kind::sleep:
        if (!resumed) {
          const double seconds =
              std::strtod(std::string(command.arguments[0].evaluate(x, variables)).c_str(), nullptr);
          x.step |= begun;
          box.owner->enter_again_after(static_cast<std::int64_t>(seconds * 1000));
          return verdict::wait;
        }
        break;
      case echo_command::kind::flush:
        if (!x.has_header_filter && !x.has_body_filter) {
          x.owner->filter(x, false);
          x.owner->flush(x);
        }
        break;
      case echo_command::kind::location:
      case echo_command::kind::subrequest:
        if (!resumed) {
          x.step |= begun;
          box.subrequest = make_subrequest(box, command);
          return x.owner->start_subrequest(x, *box.subrequest) ? verdict::wait : finish(box, 500);
        }
        x.body_out.append(box.subrequest->answer);
        box.subrequest.reset();
        break;
      case echo_command::kind::read_body:
        if (!resumed) {
          x.step |= begun;
          const auto progress = x.owner->read_body(x);
          if (progress == exchange_owner::progress::waiting) return verdict::wait;
          if (progress == exchange_owner::progress::failed) return finish(box, x.final_status);
        }
        break;
      case echo_command::kind::body: {
        std::string text;
        if (x.body.state == net::body_state::read && !x.body.copy_to(text)) x.body_out.append(text);
        break;
      }
      case echo_command::kind::exec: {
        const std::string_view target = command.arguments[0].evaluate(x, variables);
        if (target.starts_with('@')) {
          x.redirect_uri = x.keep(target);
          x.next = net::direction::named_location;
          return verdict::leave;
        }
        const auto question = target.find('?');
        x.redirect_uri = x.keep(target.substr(0, question));
        x.redirect_args =
            question == std::string_view::npos ? std::string_view{} : x.keep(target.substr(question + 1));
        if (command.arguments.size() > 1) {
          x.redirect_args = x.keep(command.arguments[1].evaluate(x, variables));
        }
        x.next = net::direction::internal_redirect;
        return verdict::leave;
      }
    }
    x.step = (x.step & ~begun) + 1;
  }
  for (const echo_command& command : program_->after_body) say(box, command);
  return finish(box, 0);
}

}  // namespace troupe::actors
