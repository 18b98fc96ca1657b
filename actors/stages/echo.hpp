// SPDX-License-Identifier: Apache-2.0
//
// The content of a location as a list of simple commands: `echo`, `echo_sleep`,
// `echo_read_request_body` and their kin.
//
// Source   echo-nginx-module's README.
// Thread   shard.
#pragma once

#include <memory>
#include <vector>

#include "actors/stage.hpp"
#include "net/complex_value.hpp"

namespace troupe::actors {

struct echo_command {
  enum class kind { say, sleep, flush, read_body, body, exec, duplicate, location, subrequest };
  kind what = kind::say;
  std::vector<net::complex_value> arguments;
  bool no_newline = false;
};

struct echo_program {
  std::vector<echo_command> commands;
  std::vector<echo_command> after_body;
};

class echo_stage final : public stage {
public:
  echo_stage(caf::actor_config& config, shard& home, std::shared_ptr<const echo_program> program)
      : stage(config, home), program_(std::move(program)) {}

  verdict handle(exchange_box& box) override;
  const char* name() const override { return "troupe.echo_stage"; }

private:
  std::shared_ptr<const echo_program> program_;
};

}  // namespace troupe::actors
