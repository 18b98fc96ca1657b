// SPDX-License-Identifier: Apache-2.0
#include "cluster/curve_key.hpp"

#include "cluster/private_file.hpp"

#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace troupe::cluster {
namespace {

constexpr std::size_t text_bytes = 40;
constexpr std::size_t max_file_bytes = 256;
constexpr std::string_view z85_letters =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

}  // namespace

bool is_curve_key(std::string_view text) {
  if (text.size() != text_bytes) return false;
  for (std::size_t at = 0; at < text.size(); at += 5) {
    // Five letters are a number of 32 bits; 85^5 is a little more than that.
    std::uint64_t value = 0;
    for (const char letter : text.substr(at, 5)) {
      const auto digit = z85_letters.find(letter);
      if (digit == std::string_view::npos) return false;
      value = value * 85 + digit;
    }
    if (value > 0xffff'ffff) return false;
  }
  return true;
}

tl::expected<curve_pair, refusal> curve_pair::make() {
  std::array<char, text_bytes + 1> open{};
  std::array<char, text_bytes + 1> secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    return tl::unexpected(io_refusal("zmq_curve_keypair", "", errno));
  }
  return curve_pair{open.data(), secret.data()};
}

tl::expected<curve_pair, refusal> curve_pair::of_secret(std::string_view secret) {
  if (!is_curve_key(secret)) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::malformed, .reason = "no CURVE key: 40 characters of Z85"});
  }
  curve_pair result{.public_key = {}, .secret_key = std::string(secret)};
  std::array<char, text_bytes + 1> open{};
  if (zmq_curve_public(open.data(), result.secret_key.c_str()) != 0) {
    return tl::unexpected(io_refusal("zmq_curve_public", "", errno));
  }
  result.public_key = open.data();
  return result;
}

tl::expected<curve_pair, refusal> curve_pair::load(const std::string& path) {
  auto bytes = read_private(path, max_file_bytes);
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  std::string_view secret = *bytes;
  if (secret.ends_with('\n')) secret.remove_suffix(1);
  auto result = of_secret(secret);
  if (!result) {
    result.error().reason = '"' + path + "\" holds " + result.error().reason;
    result.error().file = path;
  }
  return result;
}

tl::expected<void, refusal> curve_pair::save(const std::string& path) const {
  return write_private(path, secret_key + '\n');
}

tl::expected<curve_pair, refusal> curve_pair::load_or_make(const std::string& path) {
  auto found = load(path);
  if (found || found.error().errc != refusal_errc::missing) return found;
  auto made = make();
  if (!made) return made;
  const auto saved = made->save(path);
  // Somebody else has just made it.
  if (!saved && saved.error().errc == refusal_errc::conflict) return load(path);
  if (!saved) return tl::unexpected(saved.error());
  return made;
}

}  // namespace troupe::cluster
