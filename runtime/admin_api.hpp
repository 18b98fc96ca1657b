// SPDX-License-Identifier: Apache-2.0
//
// What the control socket of a node understands: releases, config values, status. Each resource is
// a function; the table in admin_api.cpp names method and path.
//
// Source   docs/admin-api.md has every path with its JSON.
// Thread   any; called by the threads of the admin_server.
// Errors   {"error":NAME,"reason":TEXT,…} with a status of HTTP.
// Called   by runtime/admin_server.
#pragma once

#include <functional>
#include <string>

#include "runtime/admin_message.hpp"
#include "runtime/deployment.hpp"
#include "runtime/node_config.hpp"
#include "runtime/upgrade.hpp"

namespace troupe {

class admin_api {
 public:
  struct parts {
    node& running;
    release_store& store;
    deployment* releases;  ///< Null: it serves a conf file in place.
    node_config& config;
    std::string name;                  ///< Of the node.
    upgrade* upgrading = nullptr;  ///< Null: the node is not this program's to replace.
  };
  explicit admin_api(parts of) : parts_(of) {}

  [[nodiscard]] admin_response answer(const admin_request& asked) const;

 private:
  [[nodiscard]] admin_response status(const admin_request& asked) const;
  [[nodiscard]] admin_response list_releases(const admin_request& asked) const;
  [[nodiscard]] admin_response show_release(const admin_request& asked,
                                            std::string_view rest) const;
  [[nodiscard]] admin_response missing_contents(const admin_request& asked) const;
  [[nodiscard]] admin_response apply(const admin_request& asked) const;
  [[nodiscard]] admin_response rollback(const admin_request& asked) const;
  [[nodiscard]] admin_response diff(const admin_request& asked) const;


  [[nodiscard]] admin_response list_config(const admin_request& asked) const;
  [[nodiscard]] admin_response follow_config(const admin_request& asked) const;
  [[nodiscard]] admin_response config_history(const admin_request& asked) const;
  [[nodiscard]] admin_response config(const admin_request& asked, std::string_view key) const;

  parts parts_;
};

}  // namespace troupe
