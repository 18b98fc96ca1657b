// SPDX-License-Identifier: Apache-2.0
//
// What happens when another release is put in.
//
// Source   docs/architecture.md, "Releases"; these directives are troupe's own.
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

using net::release_policy;

void on_release(builder& b, const directive& d) {
  auto& settings = b.here().settings;
  const std::string& what = d.args[0];
  const bool has_time = d.args.size() > 1;
  if (what == "drain") {
    if (!has_time) return b.fail(d, "\"drain\" of the \"on_release\" directive needs a time");
    const auto time = parse_time(d.name, d.args[1]);
    if (!time) return b.fail(d, time.error());
    settings.on_release = release_policy::drain;
    settings.drain_time = time->count();
    return;
  }
  if (what != "keep" && what != "next_request") {
    return b.fail(d, "invalid value \"" + what + "\" in \"on_release\" directive, it must be "
                     "\"keep\", \"next_request\" or \"drain\"");
  }
  if (has_time) return b.fail(d, "invalid parameter \"" + d.args[1] + "\"");
  settings.on_release = what == "keep" ? release_policy::keep : release_policy::next_request;
}

void max_live_releases(builder& b, const directive& d) {
  const auto count = number_in(d.args[0]);
  if (!count || *count < 1 || *count > 100) {
    return b.fail(d, "invalid number \"" + d.args[0] + "\" in \"max_live_releases\" directive");
  }
  b.site().max_live_releases = static_cast<std::size_t>(*count);
}

void drain_timeout(builder& b, const directive& d) {
  const auto time = parse_time(d.name, d.args[0]);
  if (!time) return b.fail(d, time.error());
  b.site().drain_timeout_ms = time->count();
}

void init_timeout(builder& b, const directive& d) {
  const auto time = parse_time(d.name, d.args[0]);
  if (!time) return b.fail(d, time.error());
  b.site().init_timeout_ms = time->count();
}

constexpr directive_row rows[] = {
    {.name = "on_release", .contexts = http_server_location, .arguments = takes::one | takes::two,
     .syntax = "next_request | keep | drain time", .standard = "next_request",
     .help = "What another release means for requests under way here. `next_request`: they end in the "
             "release that they began in, and `ngx.worker.exiting()` is true for them when too many "
             "releases live. `keep`: no release ever ends them, and theirs does not count. `drain`: "
             "`ngx.worker.exiting()` is true at once, and after the time they are ended.",
     .apply = on_release, .once = true},
    {.name = "max_live_releases", .contexts = context::main, .arguments = takes::one,
     .syntax = "number", .standard = "3", .merge = merging::none,
     .help = "How many releases may live beside each other: the one that serves, the one before, which is "
             "kept for a rollback, and older ones with requests under way. When there are more, the oldest "
             "is asked to end.",
     .apply = max_live_releases, .once = true},
    {.name = "drain_timeout", .contexts = context::main, .arguments = takes::one,
     .syntax = "time", .standard = "30s", .merge = merging::none,
     .help = "How long a release that was asked to end has left. Then its requests are ended: a WebSocket "
             "gets a close frame (1001), one without a response so far gets 503.",
     .apply = drain_timeout, .once = true},
    {.name = "lua_init_timeout", .contexts = context::http, .arguments = takes::one,
     .syntax = "time", .standard = "30s", .merge = merging::none,
     .help = "How long `init_by_lua` may run, and how long `init_worker_by_lua` may wait, before the release "
             "is refused; 0: any time.",
     .apply = init_timeout, .once = true},
};

}  // namespace

const directive_module release_module{"releases", "What happens when a release takes another's place.", rows};

}  // namespace troupe::conf
