// SPDX-License-Identifier: Apache-2.0
//
// The head of a request of any bytes: however it is cut, the outcome is that of the whole, results
// lie in the bytes given, and a head that is let through states one length, one host and no
// control bytes.
//
// The first byte of an input holds the options, the second seeds the cuts; the rest are the bytes.
#include "net/http1_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "net/uri.hpp"

namespace {

namespace net = troupe::net;

void expect(bool holds) {
  if (!holds) std::abort();
}

// A copy on the heap exactly as big as it is, so that the sanitizer sees a byte read beyond it.
class exact_copy {
 public:
  explicit exact_copy(std::string_view text)
      : bytes_(std::make_unique<char[]>(text.size())), size_(text.size()) {
    text.copy(bytes_.get(), size_);
  }
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

struct outcome {
  net::parse_status status = net::parse_status::need_more;
  net::http_errc error = net::http_errc::none;
  std::size_t line_start = 0;
  std::string facts;
  bool operator==(const outcome&) const = default;
};

void add(std::string& facts, std::string_view text) {
  facts += std::to_string(text.size()) + ":";
  facts += text;
}

void add(std::string& facts, std::uint64_t number) {
  facts += std::to_string(number) + ";";
}

outcome describe(net::parse_status status, const net::http1_parser& parser,
                 const net::request_head& head, const net::header_map& fields) {
  outcome o{status, parser.error, parser.line_start, {}};
  if (status == net::parse_status::failed) return o;
  add(o.facts, head.request_line);
  add(o.facts, head.method_name);
  add(o.facts, head.target);
  add(o.facts, head.host);
  add(o.facts, head.method);
  add(o.facts, static_cast<std::uint64_t>(head.version));
  add(o.facts, head.content_length.value_or(~std::uint64_t{0}));
  add(o.facts, (head.is_chunked ? 1U : 0U) | (head.keep_alive ? 2U : 0U) |
                   (head.expects_continue ? 4U : 0U) | (head.has_host ? 8U : 0U));
  add(o.facts, head.size);
  for (const net::header_field& field : fields) {
    add(o.facts, field.name);
    add(o.facts, field.value);
  }
  return o;
}

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool has_control(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return true;
  }
  return false;
}

void check_done(std::string_view bytes, const net::request_head& head,
                const net::header_map& fields, net::http1_parser::options how) {
  expect(head.size <= bytes.size() && head.start < head.size);
  expect(bytes[head.size - 1] == '\n');
  expect(head.version == 9 || head.version == 1000 || head.version == 1001);
  expect(!head.target.empty() && !has_control(head.target) && !has_control(head.request_line));
  for (const std::string_view part :
       {head.request_line, head.method_name, head.target, head.host}) {
    expect(lies_in(part, bytes.substr(0, head.size)));
  }
  expect(!(head.is_chunked && (head.content_length || head.version < 1001)));
  expect(head.version < 1001 || head.has_host);
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t codings = 0;
  for (const net::header_field& field : fields) {
    expect(lies_in(field.name, bytes) && lies_in(field.value, bytes));
    expect(!field.name.empty() && !has_control(field.name) && !has_control(field.value));
    expect(!how.ignore_invalid_headers ||
           field.name.find_first_of(" \t:!\"#$%&'()*+,./;<=>?@[\\]^`{|}~") ==
               std::string_view::npos);
    hosts += net::equals_ignoring_case(field.name, "Host") ? 1 : 0;
    lengths += net::equals_ignoring_case(field.name, "Content-Length") ? 1 : 0;
    codings += net::equals_ignoring_case(field.name, "Transfer-Encoding") ? 1 : 0;
  }
  expect(hosts == (head.has_host ? 1 : 0));
  expect(lengths == (head.content_length ? 1 : 0));
  expect(codings == (head.is_chunked ? 1 : 0));
  // Every field takes a line of at least three bytes.
  expect(fields.size() <= head.size / 3);
}

outcome whole(std::string_view bytes, net::http1_parser::options how) {
  const exact_copy copy(bytes);
  net::http1_parser parser;
  net::request_head head;
  net::header_map fields;
  const auto status = parser.parse(copy.view(), head, fields, how);
  expect((status == net::parse_status::failed) == (parser.error != net::http_errc::none));
  if (status == net::parse_status::done) check_done(copy.view(), head, fields, how);
  return describe(status, parser, head, fields);
}

// Each call sees the bytes at another place, and the place of the last is gone.
outcome in_pieces(std::string_view bytes, net::http1_parser::options how, std::uint32_t seed) {
  net::http1_parser parser;
  net::header_map fields;
  outcome last;
  std::size_t seen = 0;
  while (seen < bytes.size()) {
    seed = seed * 1664525 + 1013904223;
    seen = std::min(bytes.size(), seen + 1 + (seed >> 16) % 37);
    const exact_copy copy(bytes.substr(0, seen));
    net::request_head head;
    const auto status = parser.parse(copy.view(), head, fields, how);
    last = describe(status, parser, head, fields);
    expect(parser.line_start <= seen);
    if (status != net::parse_status::need_more) break;
  }
  return last;
}

void resolve(std::string_view target) {
  const exact_copy copy(target);
  for (const bool merge : {true, false}) {
    net::arena memory;
    net::target out;
    if (!net::parse_target(copy.view(), merge, memory, out)) continue;
    expect(out.path.starts_with('/') && out.path.size() <= target.size() + 1);
    expect(out.path.find('\0') == std::string_view::npos);
    expect((std::string(out.path) + "/").find("/../") == std::string::npos);
    expect((std::string(out.path) + "/").find("/./") == std::string::npos);
    expect(!merge || out.path.find("//") == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const net::http1_parser::options how{.ignore_invalid_headers = (data[0] & 1) == 0,
                                       .underscores_in_headers = (data[0] & 2) != 0};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const outcome expected = whole(bytes, how);
  // Without bytes no call is made.
  if (!bytes.empty()) expect(in_pieces(bytes, how, data[1]) == expected);
  resolve(bytes);
  return 0;
}
