// SPDX-License-Identifier: Apache-2.0
//
// The `troupe-server` binary: all commands, and the server. Users call it as `troupe` (main.cpp).
#include "runtime/commands/command.hpp"

#include <string>
#include <vector>

int main(int count, char** values) {
  const std::vector<std::string> words(values + (count > 0 ? 1 : 0), values + count);
  return troupe::perform(words);
}
