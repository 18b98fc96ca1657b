// SPDX-License-Identifier: Apache-2.0
#include "cluster/trust_file.hpp"

#include "cluster/curve_key.hpp"
#include "cluster/private_file.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr std::size_t max_file_bytes = 512 * 1024;
constexpr std::string_view spaces = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(spaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

/// Without a comment, which begins with a # outside of a string.
std::string_view without_comment(std::string_view line) {
  bool is_in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') is_in_string = !is_in_string;
    if (line[i] == '#' && !is_in_string) return line.substr(0, i);
  }
  return line;
}

/// Takes "…" from the front.
std::optional<std::string> take_string(std::string_view& text) {
  if (!text.starts_with('"')) return std::nullopt;
  const auto end = text.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  const auto result = text.substr(1, end - 1);
  const auto is_plain = [](unsigned char c) { return c >= ' ' && c != '\\' && c != 127; };
  if (!std::ranges::all_of(result, is_plain)) return std::nullopt;
  text = trimmed(text.substr(end + 1));
  return std::string(result);
}

std::optional<std::string> as_string(std::string_view text) {
  auto result = take_string(text);
  return text.empty() ? result : std::nullopt;
}

std::optional<std::vector<std::string>> as_strings(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']') || text.size() < 2) return std::nullopt;
  text = trimmed(text.substr(1, text.size() - 2));
  std::vector<std::string> result;
  while (!text.empty()) {
    auto one = take_string(text);
    if (!one) return std::nullopt;
    result.push_back(*std::move(one));
    if (text.empty()) break;
    if (!text.starts_with(',')) return std::nullopt;
    text = trimmed(text.substr(1));
  }
  return result;
}

std::string quoted(std::string_view text) {
  std::string result(text);
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < ' ' || c == '"' || c == '\\' || c == 127; }, '?');
  return '"' + result + '"';
}

struct reader {
  struct entry {
    std::optional<public_key> key;
    std::optional<std::string> name;
    key_roles roles = 0;
  };
  trust_root result;
  std::optional<entry> open;
  bool has_format = false;

  /// What is wrong with the key that ends here; empty: nothing.
  std::string close() {
    if (!open) return {};
    const entry done = *std::exchange(open, std::nullopt);
    if (!done.key || done.roles == 0) return "the [[key]] above needs key and roles";
    if (result.keys.size() >= trust_root::max_keys) return "too many keys";
    if (!result.keys.emplace(*done.key, trusted_key{done.roles, done.name.value_or("")}).second) {
      return "the key above stands here twice";
    }
    return {};
  }

  std::string take(std::string_view line) {
    if (line == "[[key]]") {
      auto wrong = close();
      open = entry();
      return wrong;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return "expected NAME = VALUE or [[key]]";
    const auto name = trimmed(line.substr(0, equals));
    const auto value = trimmed(line.substr(equals + 1));
    return open ? take_of_key(name, value) : take_of_file(name, value);
  }

  std::string take_of_file(std::string_view name, std::string_view value) {
    if (name == "format") {
      has_format = true;
      return value == "1" ? "" : "its format is not 1, which is all that this troupe knows";
    }
    if (name != "tools") return "unknown name \"" + std::string(name.substr(0, 40)) + '"';
    auto list = as_strings(value);
    if (!list || !std::ranges::all_of(*list, is_curve_key)) {
      return "tools is a list of CURVE keys: 40 characters of Z85 each";
    }
    if (list->size() > trust_root::max_tools) return "too many tools";
    result.tools = *std::move(list);
    return {};
  }

  std::string take_of_key(std::string_view name, std::string_view value) {
    if (name == "name") {
      open->name = as_string(value);
      const bool fine = open->name && open->name->size() <= order::max_name_bytes;
      return fine ? "" : "name is a string, without escapes, of at most 64 bytes";
    }
    if (name == "key") {
      const auto text = as_string(value);
      open->key = text ? public_key::parse(*text) : std::nullopt;
      return open->key ? "" : "key is a string: \"ed25519:\" and 43 characters";
    }
    if (name != "roles") return "unknown name \"" + std::string(name.substr(0, 40)) + "\" of a key";
    const auto list = as_strings(value);
    if (!list) return "roles is a list of strings";
    for (const std::string& one : *list) {
      const auto role = role_named(one);
      if (!role) return "unknown role \"" + one.substr(0, 40) + "\": read, config, push, admin";
      open->roles = static_cast<key_roles>(open->roles | static_cast<key_roles>(*role));
    }
    return {};
  }
};

}  // namespace

std::string trust_root::text() const {
  std::string result =
      "# Who may order what in this cluster, whatever the network says. Whoever can write this "
      "file\n"
      "# can have any code run on the nodes that read it.\n"
      "format = 1\n"
      "tools = [";
  for (std::size_t i = 0; i < tools.size(); ++i) result += (i > 0 ? ", " : "") + quoted(tools[i]);
  result += "]\n";
  for (const auto& [key, trusted] : keys) {
    result += "\n[[key]]\nname = " + quoted(trusted.name) + "\nkey = " + quoted(key.text()) +
              "\nroles = [";
    bool is_first = true;
    for (const std::string_view role : names_of(trusted.roles)) {
      result += (is_first ? "" : ", ") + quoted(role);
      is_first = false;
    }
    result += "]\n";
  }
  return result;
}

tl::expected<trust_root, refusal> trust_root::parse(std::string_view text,
                                                    const std::string& file) {
  reader found;
  std::size_t number = 0;
  const auto wrong = [&](const std::string& what) {
    return tl::unexpected(refusal{.errc = refusal_errc::malformed,
                                  .reason = file + ':' + std::to_string(number) + ": " + what,
                                  .file = file});
  };
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const auto line = trimmed(without_comment(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    if (const auto what = found.take(line); !what.empty()) return wrong(what);
  }
  if (const auto what = found.close(); !what.empty()) return wrong(what);
  if (!found.has_format) return wrong("format = 1 is missing");
  // A node that trusts nobody would take anybody's orders.
  if (found.result.keys.empty()) return wrong("no key is trusted");
  return std::move(found.result);
}

tl::expected<trust_root, refusal> trust_root::load(const std::string& path) {
  const auto text = read_guarded(path, max_file_bytes);
  if (!text) return tl::unexpected(text.error());
  return parse(*text, path);
}

tl::expected<void, refusal> trust_root::save(const std::string& path) const {
  return write_once(path, text(), 0644);
}

}  // namespace troupe::cluster
