// SPDX-License-Identifier: Apache-2.0
#include "cluster/bundle.hpp"

#include "cluster/unpack.hpp"

#include <set>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr int format_version = 1;

tl::unexpected<refusal> malformed(std::string reason) {
  return tl::unexpected(
      refusal{.errc = refusal_errc::malformed, .reason = "not a bundle: " + std::move(reason)});
}

std::set<digest> named(const manifest& files) {
  std::set<digest> result;
  for (const manifest_file& file : files.files) result.insert(file.content);
  return result;
}

}  // namespace

std::vector<digest> bundle::missing() const {
  std::vector<digest> result;
  for (const digest& name : named(files)) {
    if (!contents.contains(name)) result.push_back(name);
  }
  return result;
}

// {"v": 1, "manifest": bin, "contents": [bin …]}
std::string bundle::encode() const {
  const std::string head = files.encode();
  std::size_t size = head.size() + 64;
  std::vector<std::string_view> sent;
  for (const digest& name : named(files)) {
    if (const auto content = contents.find(name); content != contents.end()) {
      sent.push_back(content->second);
      size += content->second.size() + 5;
    }
  }
  msgpack::sbuffer buffer(size);
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
  key("manifest");
  bin(head);
  key("contents");
  packer.pack_array(static_cast<std::uint32_t>(sent.size()));
  for (const std::string_view content : sent) bin(content);
  return {buffer.data(), buffer.size()};
}

tl::expected<bundle, refusal> bundle::decode(std::string_view bytes) {
  if (bytes.size() > max_bytes) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::too_large,
                .reason = "a bundle of more than " + std::to_string(max_bytes) + " bytes"});
  }
  const auto unpacked = unpack(bytes, manifest::max_files, 3);
  if (!unpacked) return malformed("no msgpack of its form, or cut short");
  const msgpack::object& whole = unpacked->get();
  const msgpack::object* version = member(whole, 0, "v");
  if (version == nullptr || version->type != msgpack::type::POSITIVE_INTEGER) {
    return malformed("it has no version");
  }
  if (version->via.u64 != format_version) {
    return malformed("its form is version " + std::to_string(version->via.u64) +
                     ", this troupe knows " + std::to_string(format_version));
  }
  const msgpack::object* head = member(whole, 1, "manifest");
  const msgpack::object* contents = member(whole, 2, "contents");
  const auto head_bytes = head != nullptr ? as_bytes(*head) : std::nullopt;
  if (!head_bytes || contents == nullptr || contents->type != msgpack::type::ARRAY ||
      whole.via.map.size != 3) {
    return malformed("its manifest or contents are missing");
  }
  auto files = manifest::decode(*head_bytes);
  if (!files) return tl::unexpected(std::move(files.error()));

  bundle result{.files = *std::move(files)};
  std::map<digest, std::uint64_t> sizes;
  for (const manifest_file& file : result.files.files) {
    const auto [at, is_new] = sizes.emplace(file.content, file.size);
    if (!is_new && at->second != file.size) return malformed("one content with two sizes");
  }
  for (std::uint32_t i = 0; i < contents->via.array.size; ++i) {
    const auto content = as_bytes(contents->via.array.ptr[i]);
    if (!content) return malformed("a content that is no bin");
    const digest name = digest::of(*content);
    const auto expected = sizes.find(name);
    if (expected == sizes.end()) {
      return malformed("a content that its manifest does not name: " + name.text());
    }
    if (expected->second != content->size()) {
      return malformed("a content of another size than its manifest says: " + name.text());
    }
    if (!result.contents.emplace(name, *content).second) {
      return malformed("a content that comes twice: " + name.text());
    }
  }
  return result;
}

}  // namespace troupe::cluster
