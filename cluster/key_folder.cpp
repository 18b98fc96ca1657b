// SPDX-License-Identifier: Apache-2.0
#include "cluster/key_folder.hpp"

#include "cluster/disk.hpp"
#include "cluster/file_descriptor.hpp"
#include "cluster/private_file.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

constexpr std::size_t max_known_bytes = 1024 * 1024;

std::string signing_file(const std::string& folder) {
  return folder + "/signing.key";
}
std::string tools_file(const std::string& folder) {
  return folder + "/cluster.key";
}
std::string trust_file(const std::string& folder) {
  return folder + "/trust.toml";
}
std::string known_file(const std::string& folder) {
  return folder + "/known_nodes";
}

tl::expected<signing_key, refusal> load_or_make_signing(const std::string& file) {
  auto found = signing_key::load(file);
  if (found || found.error().errc != refusal_errc::missing) return found;
  auto made = signing_key::make();
  if (!made) return made;
  if (auto saved = made->save(file); !saved) return tl::unexpected(saved.error());
  return made;
}

bool is_address(std::string_view text) {
  return !text.empty() && text.size() <= order::max_address_bytes &&
         std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 127; });
}

}  // namespace

key_folder::key_folder(std::string path, signing_key signing, curve_pair tools, trust_root trust)
    : path_(std::move(path)),
      signing_(std::move(signing)),
      tools_(std::move(tools)),
      trust_(std::move(trust)) {}

tl::expected<key_folder, refusal> key_folder::make(const std::string& path,
                                                   const std::string& holder) {
  if (auto made = disk().make_folder(path, 0700); !made) return tl::unexpected(made.error());
  if (access(trust_file(path).c_str(), F_OK) == 0) {
    return tl::unexpected(refusal{.errc = refusal_errc::conflict,
                                  .reason = "there are keys in \"" + path + "\" already",
                                  .file = path});
  }
  auto signing = load_or_make_signing(signing_file(path));
  if (!signing) return tl::unexpected(signing.error());
  auto tools = curve_pair::load_or_make(tools_file(path));
  if (!tools) return tl::unexpected(tools.error());
  trust_root trust;
  trust.keys[signing->id()] = {.roles = static_cast<key_roles>(key_role::admin),
                               .name = holder.substr(0, order::max_name_bytes)};
  trust.tools = {tools->public_key};
  // The last: with it the keys are complete.
  if (auto saved = trust.save(trust_file(path)); !saved) return tl::unexpected(saved.error());
  return load(path);
}

tl::expected<key_folder, refusal> key_folder::load(const std::string& path) {
  auto trust = trust_root::load(trust_file(path));
  if (!trust) return tl::unexpected(trust.error());
  auto signing = signing_key::load(signing_file(path));
  if (!signing) return tl::unexpected(signing.error());
  auto tools = curve_pair::load(tools_file(path));
  if (!tools) return tl::unexpected(tools.error());
  return key_folder(path, *std::move(signing), *std::move(tools), *std::move(trust));
}

tl::expected<std::map<std::string, std::string>, refusal> key_folder::known_nodes() const {
  const std::string file = known_file(path_);
  std::map<std::string, std::string> result;
  const auto bytes = read_guarded(file, max_known_bytes);
  if (!bytes && bytes.error().errc == refusal_errc::missing) return result;
  if (!bytes) return tl::unexpected(bytes.error());
  std::string_view left = *bytes;
  for (std::size_t number = 1; !left.empty(); ++number) {
    const auto end = left.find('\n');
    const auto line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view() : left.substr(end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    const auto space = line.find(' ');
    const auto address = line.substr(0, space);
    const auto curve =
        space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    if (!is_address(address) || !is_curve_key(curve)) {
      return tl::unexpected(refusal{
          .errc = refusal_errc::malformed,
          .reason = file + ':' + std::to_string(number) + ": expected HOST:PORT and a CURVE key",
          .file = file});
    }
    result.insert_or_assign(std::string(address), std::string(curve));
  }
  return result;
}

tl::expected<void, refusal> key_folder::remember_node(const std::string& address,
                                                      const std::string& curve) const {
  if (!is_address(address) || !is_curve_key(curve)) {
    return tl::unexpected(refusal{
        .errc = refusal_errc::malformed, .reason = "no address or no CURVE key", .file = {}});
  }
  const file_descriptor folder(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return tl::unexpected(io_refusal("open", path_, errno));
  while (flock(folder.number(), LOCK_EX) != 0) {
    if (errno != EINTR) return tl::unexpected(io_refusal("flock", path_, errno));
  }
  auto all = known_nodes();
  if (!all) return tl::unexpected(all.error());
  if (const auto found = all->find(address); found != all->end() && found->second == curve) {
    return {};
  }
  all->insert_or_assign(address, curve);
  std::string text = "# Nodes of this machine: where they listen, and their CURVE keys.\n";
  for (const auto& [where, key] : *all) text += where + ' ' + key + '\n';
  const disk files;
  const std::string draft = known_file(path_) + ".new";
  // The lock is ours: what is there of that name was left by a process that is gone.
  if (auto gone = files.remove(draft); !gone) return gone;
  auto done = files.write_new(draft, text, 0600);
  if (done) done = files.sync_file(draft);
  if (done) done = files.rename(draft, known_file(path_));
  return done;
}

}  // namespace troupe::cluster
