// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/access_log.hpp"

#include <algorithm>
#include <mutex>
#include <span>

#include "runtime/conf/builder.hpp"
#include "runtime/log_buffer.hpp"

namespace troupe::conf {
namespace {

class file_access_log final : public actors::access_log {
public:
  file_access_log(std::shared_ptr<const log_file> file, log_format format,
                  const net::variable_table& variables, const access_log_line& line)
      : format_(std::move(format)),
        variables_(variables),
        buffered_(line.buffer > 0),
        buffer_(std::move(file), line.buffer, std::chrono::milliseconds(line.flush_ms)) {}

  void write(net::exchange& x) const override {
    // The line is made in the exchange's memory, in one piece: its size first, then its bytes.
    struct piece {
      std::string_view text;
      std::size_t size;
    };
    const std::span pieces(static_cast<piece*>(x.memory.allocate(
                               format_.parts.size() * sizeof(piece), alignof(piece))),
                           format_.parts.size());
    std::size_t size = 1;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const log_format::part& part = format_.parts[i];
      std::string_view text = part.literal;
      std::size_t written = text.size();
      if (part.variable >= 0) {
        text = variables_.get(x, part.variable).value_or("-");
        written = format_.escapes ? access_escaped_size(text) : text.size();
      }
      pieces[i] = {text, written};
      size += written;
    }
    char* const begin = static_cast<char*>(x.memory.allocate(size, 1));
    char* end = begin;
    for (const auto& [text, written] : pieces) {
      end = written == text.size() ? std::copy(text.begin(), text.end(), end)
                                   : write_access_escaped(end, text);
    }
    *end = '\n';
    const std::string_view line(begin, size);
    // A buffer is shared by the shards; without one each line is its own write.
    if (buffered_) {
      const std::lock_guard lock(mutex_);
      buffer_.write(line);
    } else {
      buffer_.write(line);
    }
  }

private:
  log_format format_;
  const net::variable_table& variables_;
  bool buffered_;
  mutable std::mutex mutex_;
  mutable log_buffer buffer_;
};

}  // namespace

log_format parse_log_format(actors::site& site, std::string_view text, bool escapes) {
  log_format format;
  format.escapes = escapes;
  std::string literal;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      literal += text[i++];
      continue;
    }
    std::size_t begin = ++i;
    const bool braced = i < text.size() && text[i] == '{';
    if (braced) begin = ++i;
    while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_')) ++i;
    const net::variable_index variable = site.variables.find_or_make(text.substr(begin, i - begin));
    if (braced && i < text.size()) ++i;
    if (!literal.empty()) format.parts.push_back({std::exchange(literal, {}), -1});
    if (variable >= 0) format.parts.push_back({{}, variable});
  }
  if (!literal.empty()) format.parts.push_back({std::move(literal), -1});
  return format;
}

std::shared_ptr<const actors::access_log> make_access_log(std::shared_ptr<const log_file> file,
                                                          const log_format& format,
                                                          const net::variable_table& variables,
                                                          const access_log_line& line) {
  return std::make_shared<file_access_log>(std::move(file), format, variables, line);
}

}  // namespace troupe::conf
