// SPDX-License-Identifier: Apache-2.0
//
// A host that has nothing to load and answers at once.
//
// Called   by tests/bench/push_nodes.
#pragma once

#include "cluster/host.hpp"

namespace troupe::bench {

class quick_host final : public cluster::host {
 public:
  void prepare(const std::string&, std::uint32_t, const cluster::manifest&, done then) override {
    then({});
  }
  void activate(const std::string&, std::uint32_t, const cluster::manifest&, done then) override {
    then({});
  }
  void forget(const std::string&, std::uint32_t) override {}
  void config(const std::map<std::string, std::string, std::less<>>&, std::uint64_t) override {}
  void topic(const cluster::topic_message&) override {}
  [[nodiscard]] cluster::node_report report() const override { return {}; }
};

}  // namespace troupe::bench
