// SPDX-License-Identifier: Apache-2.0
#include "cluster/manifest.hpp"

#include "cluster/unpack.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr int format_version = 1;

tl::unexpected<refusal> malformed(std::string reason, std::string file = {}) {
  return tl::unexpected(refusal{.errc = refusal_errc::malformed,
                                .reason = "not a manifest: " + std::move(reason),
                                .file = std::move(file)});
}

refusal bad_path(std::string_view path, std::string_view what) {
  return {.errc = refusal_errc::bad_path,
          .reason = '"' + std::string(path.substr(0, 200)) + "\" " + std::string(what),
          .file = std::string(path)};
}

bool is_need(std::string_view need) {
  return !need.empty() && need.size() <= manifest::max_need_bytes &&
         std::ranges::all_of(need, [](unsigned char c) { return c > ' ' && c < 127; });
}

}  // namespace

std::optional<refusal> check_path(std::string_view path) {
  if (path.empty()) return bad_path(path, "is no path");
  if (path.size() > manifest::max_path_bytes) {
    return bad_path(path, "is longer than " + std::to_string(manifest::max_path_bytes) + " bytes");
  }
  if (path.front() == '/') return bad_path(path, "is absolute");
  if (path.find('\0') != std::string_view::npos) return bad_path(path, "has a NUL");
  while (true) {
    const auto slash = path.find('/');
    const auto name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") {
      return bad_path(path, "has an empty, \".\" or \"..\" part");
    }
    if (name.size() > manifest::max_name_bytes) {
      return bad_path(path, "has a name longer than 255 bytes");
    }
    if (slash == std::string_view::npos) return std::nullopt;
    path.remove_prefix(slash + 1);
  }
}

void manifest::sort() {
  std::ranges::sort(files, {}, &manifest_file::path);
  std::ranges::sort(needs);
  needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
}

tl::expected<void, refusal> manifest::check() const {
  if (files.size() > max_files) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::too_large,
                .reason = "more than " + std::to_string(max_files) + " files in a release"});
  }
  if (needs.size() > max_needs) return malformed("too many needs");
  for (std::size_t i = 0; i < needs.size(); ++i) {
    if (!is_need(needs[i])) return malformed("a need that is no word");
    if (i > 0 && needs[i - 1] >= needs[i]) return malformed("needs out of order");
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& path = files[i].path;
    if (auto bad = check_path(path)) return tl::unexpected(*std::move(bad));
    if (i > 0 && files[i - 1].path >= path) return malformed("files out of order", path);
  }
  // "a" and "a/b" cannot both be files. Between them may stand "a-b", so each folder is looked up.
  for (const manifest_file& file : files) {
    const std::string_view path = file.path;
    for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      if (find(path.substr(0, slash)) != nullptr) {
        return malformed('"' + std::string(path.substr(0, slash)) + "\" is a file and a folder",
                         file.path);
      }
    }
  }
  return {};
}

// {"v": 1, "needs": [str …], "files": [[bin path, bool executable, size, bin digest] …]}
std::string manifest::encode() const {
  msgpack::sbuffer buffer(64 + files.size() * 96);
  msgpack::packer packer(buffer);
  const auto key = [&](std::string_view text) {
    packer.pack_str(static_cast<std::uint32_t>(text.size()));
    packer.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  };
  const auto bin = [&](std::string_view bytes) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  };
  packer.pack_map(3);
  key("v");
  packer.pack_int(format_version);
  key("needs");
  packer.pack_array(static_cast<std::uint32_t>(needs.size()));
  for (const std::string& need : needs) key(need);
  key("files");
  packer.pack_array(static_cast<std::uint32_t>(files.size()));
  for (const manifest_file& file : files) {
    packer.pack_array(4);
    bin(file.path);
    if (file.executable) {
      packer.pack_true();
    } else {
      packer.pack_false();
    }
    packer.pack_uint64(file.size);
    bin(file.content.raw());
  }
  return {buffer.data(), buffer.size()};
}

tl::expected<manifest, refusal> manifest::decode(std::string_view bytes) {
  const auto unpacked = unpack(bytes, max_files, 4);
  if (!unpacked) return malformed("no msgpack of its form, or too large");
  const msgpack::object& whole = unpacked->get();
  const msgpack::object* version = member(whole, 0, "v");
  if (version == nullptr || version->type != msgpack::type::POSITIVE_INTEGER) {
    return malformed("it has no version");
  }
  if (version->via.u64 != format_version) {
    return malformed("its form is version " + std::to_string(version->via.u64) +
                     ", this troupe knows " + std::to_string(format_version));
  }
  const msgpack::object* needs = member(whole, 1, "needs");
  const msgpack::object* files = member(whole, 2, "files");
  if (needs == nullptr || needs->type != msgpack::type::ARRAY || files == nullptr ||
      files->type != msgpack::type::ARRAY) {
    return malformed("needs or files are missing");
  }
  manifest result;
  for (std::uint32_t i = 0; i < needs->via.array.size; ++i) {
    const auto need = as_text(needs->via.array.ptr[i]);
    if (!need) return malformed("a need that is no text");
    result.needs.emplace_back(*need);
  }
  result.files.reserve(files->via.array.size);
  for (std::uint32_t i = 0; i < files->via.array.size; ++i) {
    const msgpack::object& file = files->via.array.ptr[i];
    if (file.type != msgpack::type::ARRAY || file.via.array.size != 4) {
      return malformed("a file that is none");
    }
    const msgpack::object* part = file.via.array.ptr;
    const auto path = as_bytes(part[0]);
    const auto name = as_bytes(part[3]);
    const auto content = name ? digest::from_bytes(*name) : std::nullopt;
    if (!path || part[1].type != msgpack::type::BOOLEAN ||
        part[2].type != msgpack::type::POSITIVE_INTEGER || !content) {
      return malformed("a file that is none");
    }
    result.files.push_back({.path = std::string(*path),
                            .executable = part[1].via.boolean,
                            .size = part[2].via.u64,
                            .content = *content});
  }
  if (auto fine = result.check(); !fine) return tl::unexpected(std::move(fine.error()));
  // The digest names what it says, so there is one way to say it.
  if (result.encode() != bytes) return malformed("its bytes are not in the canonical form");
  return result;
}

digest manifest::id() const {
  return digest::of(encode());
}

const manifest_file* manifest::find(std::string_view path) const {
  const auto at = std::ranges::lower_bound(files, path, {}, &manifest_file::path);
  return at != files.end() && at->path == path ? &*at : nullptr;
}

std::uint64_t manifest::total_bytes() const {
  std::uint64_t result = 0;
  for (const manifest_file& file : files) result += file.size;
  return result;
}

std::string_view text(file_change change) noexcept {
  switch (change) {
    case file_change::added:
      return "added";
    case file_change::modified:
      return "modified";
    case file_change::removed:
      return "removed";
  }
  return "";
}

std::vector<changed_file> compare(const manifest& from, const manifest& to) {
  std::vector<changed_file> result;
  auto old = from.files.begin();
  auto now = to.files.begin();
  while (old != from.files.end() || now != to.files.end()) {
    if (now == to.files.end() || (old != from.files.end() && old->path < now->path)) {
      result.push_back({(old++)->path, file_change::removed});
    } else if (old == from.files.end() || now->path < old->path) {
      result.push_back({(now++)->path, file_change::added});
    } else {
      if (*old != *now) result.push_back({now->path, file_change::modified});
      ++old;
      ++now;
    }
  }
  return result;
}

}  // namespace troupe::cluster
