// SPDX-License-Identifier: Apache-2.0
#include "lua/phase.hpp"

namespace troupe::lua {

std::string_view name(phase p) noexcept {
  switch (p) {
    case phase::none:
    case phase::init: return "init";
    case phase::init_worker: return "init_worker";
    case phase::exit_worker: return "exit_worker";
    case phase::set: return "set";
    case phase::server_rewrite: return "server_rewrite";
    case phase::rewrite: return "rewrite";
    case phase::access: return "access";
    case phase::precontent: return "precontent";
    case phase::content: return "content";
    case phase::header_filter: return "header_filter";
    case phase::body_filter: return "body_filter";
    case phase::log: return "log";
    case phase::timer: return "timer";
    case phase::balancer: return "balancer";
  }
  return "unknown";
}

std::string_view directive_name(phase p) noexcept {
  switch (p) {
    case phase::none: return "(unknown)";
    case phase::init: return "init_by_lua*";
    case phase::init_worker: return "init_worker_by_lua*";
    case phase::exit_worker: return "exit_worker_by_lua*";
    case phase::set: return "set_by_lua*";
    case phase::server_rewrite: return "server_rewrite_by_lua*";
    case phase::rewrite: return "rewrite_by_lua*";
    case phase::access: return "access_by_lua*";
    case phase::precontent: return "precontent_by_lua*";
    case phase::content: return "content_by_lua*";
    case phase::header_filter: return "header_filter_by_lua*";
    case phase::body_filter: return "body_filter_by_lua*";
    case phase::log: return "log_by_lua*";
    case phase::timer: return "ngx.timer";
    case phase::balancer: return "balancer_by_lua*";
  }
  return "(unknown)";
}

}  // namespace troupe::lua
