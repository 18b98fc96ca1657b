// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/parser.hpp"

#include "runtime/conf/lexer.hpp"

#include <algorithm>
#include <set>
#include <system_error>

namespace troupe::conf {
namespace {

constexpr int most_nested_blocks = 100;
constexpr std::size_t most_nested_includes = 50;
constexpr std::size_t most_reads = 10'000;  // a file that is included twice counts twice
constexpr std::size_t most_bytes = 256 * 1024 * 1024;

/// One reading of a configuration; ends at the first syntax error of the text, since what follows
/// one cannot be trusted to be what it seems.
class reading {
 public:
  reading(file_source* source, std::string folder) : source_(source), folder_(std::move(folder)) {}

  /// @return false: reading cannot go on.
  bool read_text(const std::string& file, std::string_view text, std::vector<directive>& into) {
    open_files_.push_back(file);
    if (seen_.insert(file).second) result_.files.push_back(file);
    lexer words(text, file);
    const bool goes_on = read_block(words, into, 0);
    open_files_.pop_back();
    return goes_on;
  }

  void read_text(const std::string& file, std::string_view text) {
    read_text(file, text, result_.directives);
  }

  void read_main(const std::string& path) {
    auto text = source_->read(path);
    if (!text) {
      fail({{}, 0, open_failed(path, text.error()), {}});
      return;
    }
    read_text(path, *text);
  }

  void read_parameters(std::string_view text) {
    auto words = lexer::of_parameters(text);
    read_block(words, result_.directives, 0);
  }

  parse_result take() { return std::move(result_); }

 private:
  void fail(diagnostic error) { result_.errors.push_back(std::move(error)); }

  static std::string open_failed(const std::string& path, int error) {
    return "open() \"" + path + "\" failed (" + std::to_string(error) + ": " +
           std::generic_category().message(error) + ")";
  }

  /// @return false: reading cannot go on.
  bool read_block(lexer& words, std::vector<directive>& into, int depth) {
    for (;;) {
      auto next = words.next();
      if (!next) {
        fail(std::move(next.error()));
        return false;
      }
      switch (next->end) {
        case statement_end::end_of_text:
          if (depth == 0) return true;
          fail(words.error_here("unexpected end of file, expecting \"}\""));
          return false;
        case statement_end::block_end:
          if (depth > 0) return true;
          fail(words.error_here("unexpected \"}\""));
          return false;
        case statement_end::semicolon:
        case statement_end::block_start:
          if (!read_directive(words, std::move(*next), into, depth)) return false;
      }
    }
  }

  bool read_directive(lexer& words, statement&& read, std::vector<directive>& into, int depth) {
    directive entry;
    entry.name = std::move(read.words.front());
    entry.args.assign(std::make_move_iterator(read.words.begin() + 1),
                      std::make_move_iterator(read.words.end()));
    entry.file = words.file();
    entry.line = entry.end_line = read.line;
    entry.has_block = read.end == statement_end::block_start;
    if (entry.has_block) return read_body(words, std::move(entry), into, depth);
    if (entry.name == "include") return include(entry, into);
    into.push_back(std::move(entry));
    return true;
  }

  bool read_body(lexer& words, directive&& entry, std::vector<directive>& into, int depth) {
    if (!words.is_file()) {
      fail(words.error_here("block directives are not supported in -g option"));
      return false;
    }
    if (total_depth_ >= most_nested_blocks) {
      fail(words.error_here("too many nested blocks"));
      return false;
    }
    if (entry.name == "include") {
      fail(words.error_here("directive \"include\" is not terminated by \";\""));
      return false;
    }
    bool goes_on = true;
    if (entry.name.ends_with("_by_lua_block")) {
      entry.is_lua = true;
      if (auto code = words.read_lua_block()) {
        entry.lua_block = std::string(*code);
      } else {
        fail(std::move(code.error()));
        return false;
      }
    } else {
      ++total_depth_;
      goes_on = read_block(words, entry.children, depth + 1);
      --total_depth_;
    }
    entry.end_line = words.line();
    into.push_back(std::move(entry));
    return goes_on;
  }

  bool include(const directive& entry, std::vector<directive>& into) {
    if (entry.args.size() != 1) {
      fail({entry.file, entry.line, "invalid number of arguments in \"include\" directive", {}});
      return true;
    }
    if (source_ == nullptr) {
      fail({entry.file, entry.line, "\"include\" directive is not allowed here", {}});
      return true;
    }
    const auto path = resolve_path(folder_, entry.args.front());
    if (!is_pattern(path)) return include_file(entry, path, into);
    for (const auto& match : source_->match(path))
      if (!include_file(entry, match, into)) return false;
    return true;
  }

  bool include_file(const directive& entry, const std::string& path, std::vector<directive>& into) {
    const auto fail_here = [&](std::string reason, std::string hint = {}) {
      fail({entry.file, entry.line, std::move(reason), std::move(hint)});
    };
    if (std::find(open_files_.begin(), open_files_.end(), path) != open_files_.end()) {
      fail_here("\"" + path + "\" includes itself", "it is reached again by its own includes");
      return true;
    }
    if (open_files_.size() >= most_nested_includes || ++reads_ > most_reads) {
      fail_here("too many includes");
      return false;
    }
    auto text = source_->read(path);
    if (!text) {
      fail_here(open_failed(path, text.error()));
      return true;
    }
    bytes_ += text->size();
    if (bytes_ > most_bytes) {
      fail_here("too many includes");
      return false;
    }
    return read_text(path, *text, into);
  }

  file_source* source_;
  std::string folder_;
  parse_result result_;
  std::vector<std::string> open_files_;
  std::set<std::string> seen_;
  int total_depth_ = 0;
  std::size_t reads_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

parse_result parse_file(file_source& source, const std::string& path) {
  reading all(&source, std::string(folder_of(path)));
  all.read_main(path);
  return all.take();
}

parse_result parse_text(file_source& source, const std::string& name, std::string_view text) {
  reading all(&source, std::string(folder_of(name)));
  all.read_text(name, text);
  return all.take();
}

parse_result parse_parameters(std::string_view text) {
  reading all(nullptr, {});
  all.read_parameters(text);
  return all.take();
}

std::string resolve_path(std::string_view folder, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  std::string full(folder);
  full += path;
  return full;
}

std::string_view folder_of(std::string_view path) noexcept {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash + 1);
}

}  // namespace troupe::conf
