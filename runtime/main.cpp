// SPDX-License-Identifier: Apache-2.0
//
// The `troupe` binary: the words of the command line go to the command that they name.
#include "runtime/commands/command.hpp"

#include <string>
#include <vector>

int main(int count, char** values) {
  const std::vector<std::string> words(values + (count > 0 ? 1 : 0), values + count);
  return troupe::perform(words);
}
