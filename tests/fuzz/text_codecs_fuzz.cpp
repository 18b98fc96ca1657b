// SPDX-License-Identifier: Apache-2.0
//
// Escaping, query arguments, base64 and dates of any bytes: outputs stay in the room that the size
// functions ask for, and what was encoded decodes to itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "net/base64.hpp"
#include "net/http_date.hpp"
#include "net/query_args.hpp"
#include "net/uri.hpp"

namespace {

namespace net = troupe::net;

void expect(bool holds) {
  if (!holds) std::abort();
}

// Exactly as big as asked for, so that the sanitizer sees the first byte beyond.
std::unique_ptr<char[]> room(std::size_t size) {
  return std::make_unique<char[]>(size);
}

void escape_and_back(std::string_view text) {
  const auto type = net::escape_type::component;
  std::string escaped;
  net::escape_uri(escaped, text, type);
  expect(escaped.size() == text.size() + net::escaped_growth(text, type));
  auto out = room(escaped.size());
  const char* const end = net::unescape_uri(out.get(), escaped, true);
  expect(std::string_view(out.get(), static_cast<std::size_t>(end - out.get())) == text);
}

void take_apart(std::string_view text) {
  auto out = room(text.size());
  char* to = out.get();
  std::size_t count = 0;
  net::query_arg arg;
  for (std::string_view rest = text; net::take_query_arg(rest, arg); ++count) {
    to = net::unescape_uri(to, arg.key, true);
    to = net::unescape_uri(to, arg.value, true);
  }
  expect(count <= net::count_query_args(text));
}

void encode_and_back(std::string_view text, net::base64_form form, bool padded) {
  const std::size_t size = net::base64_encoded_size(text.size(), padded);
  auto encoded = room(size);
  expect(net::encode_base64(encoded.get(), text, form, padded) == size);
  auto decoded = room(net::base64_decoded_size(size));
  const auto back = net::decode_base64(decoded.get(), {encoded.get(), size}, form);
  expect(back && std::string_view(decoded.get(), *back) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  escape_and_back(text);
  take_apart(text);
  for (const bool padded : {true, false}) {
    encode_and_back(text, net::base64_form::standard, padded);
    encode_and_back(text, net::base64_form::url, padded);
  }
  for (const auto form :
       {net::base64_form::standard, net::base64_form::url, net::base64_form::mime}) {
    auto decoded = room(net::base64_decoded_size(size));
    (void)net::decode_base64(decoded.get(), text, form);
  }
  (void)net::parse_http_date(text);
  return 0;
}
