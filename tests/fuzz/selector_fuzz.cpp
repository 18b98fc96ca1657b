// SPDX-License-Identifier: Apache-2.0
//
// Selectors of any text, two of them a line each: what is taken is written as it was meant, and one
// that covers another matches every node that the other does.
#include "cluster/selector.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace {

namespace cluster = troupe::cluster;

void expect(bool holds) {
  if (!holds) std::abort();
}

std::optional<cluster::selector> try_text(std::string_view text) {
  const auto taken = cluster::selector::parse(text);
  if (!taken) {
    expect(taken.error().errc == cluster::refusal_errc::malformed && !taken.error().reason.empty());
    return std::nullopt;
  }
  expect(taken->percent >= 1 && taken->percent <= 100);
  expect(taken->labels.size() <= cluster::selector::max_labels);
  for (const auto& [name, value] : taken->labels) {
    const auto label = cluster::parse_label(name + '=' + value);
    expect(label && label->first == name && label->second == value);
    expect(name.size() <= cluster::selector::max_label_bytes);
    expect(value.size() <= cluster::selector::max_label_bytes);
  }
  const auto again = cluster::selector::parse(taken->text());
  expect(again && *again == *taken);
  expect(taken->is_everyone() == taken->text().empty());
  expect(taken->covers(*taken) && cluster::selector().covers(*taken));
  return *taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto copy = std::make_unique<char[]>(size);
  std::copy(data, data + size, copy.get());
  const std::string_view bytes(copy.get(), size);
  const auto line = bytes.find('\n');
  const auto one = try_text(bytes.substr(0, line));
  const auto other =
      line == std::string_view::npos ? std::nullopt : try_text(bytes.substr(line + 1));
  if (!one || !other) return 0;
  const bool covers = one->covers(*other);
  // A node with all that either asks for, one with what the other asks for, and one without labels.
  cluster::label_map all = other->labels;
  all.insert(one->labels.begin(), one->labels.end());
  for (const cluster::label_map& labels : {all, other->labels, cluster::label_map()}) {
    for (const char* name : {"a", "b", "node-17", ""}) {
      const bool matches = other->matches(name, labels);
      expect(!covers || !matches || one->matches(name, labels));
      expect(matches == other->matches(name, labels));
      expect(!other->is_everyone() || matches);
    }
  }
  return 0;
}
