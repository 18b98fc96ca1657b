// SPDX-License-Identifier: Apache-2.0
#include "runtime/live_releases.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

std::uint64_t exchanges_of(const loaded_release& release) {
  std::uint64_t all = 0;
  for (const auto& load : release.loads) all += load->exchanges();
  return all;
}

// Only exchanges that no release ends are left in it.
bool is_only_kept(const loaded_release& release) {
  std::uint64_t kept = 0;
  for (const auto& load : release.loads) kept += load->kept();
  return kept > 0 && kept == exchanges_of(release);
}

}  // namespace

bool live_releases::is_over(const one& release) {
  return std::all_of(release.what->loads.begin(), release.what->loads.end(),
                     [](const auto& load) { return load->is_closed(); });
}

bool live_releases::keeps_active(const loaded_release& next) const {
  const std::lock_guard lock(mutex_);
  // What is not known by its content cannot be asked for again, and nothing goes back from it.
  return next.conf.site->max_live_releases > 1 && !next.source.digest.empty() && !all_.empty() &&
         !all_.front().what->source.digest.empty();
}

std::vector<live_releases::entry> live_releases::put(entry next, int number) {
  const std::size_t most = next->conf.site->max_live_releases;
  const bool keeps = keeps_active(*next);
  const std::lock_guard lock(mutex_);
  for (one& before : all_) {
    const bool was_active = before.state == release_state::active;
    before.state = was_active && keeps ? release_state::warm : release_state::draining;
  }
  std::erase_if(all_, [&](const one& each) { return is_over(each) || each.what == next; });
  all_.insert(all_.begin(), {std::move(next), number, release_state::active, false});

  std::vector<entry> asked;
  std::size_t living = 0;
  for (one& each : all_) {
    if (each.state == release_state::draining && is_only_kept(*each.what)) continue;
    if (++living <= most || each.state != release_state::draining || each.is_asked) continue;
    each.is_asked = true;
    asked.push_back(each.what);
  }
  return asked;
}

live_releases::entry live_releases::active() const {
  const std::lock_guard lock(mutex_);
  return all_.empty() ? nullptr : all_.front().what;
}

int live_releases::active_number() const {
  const std::lock_guard lock(mutex_);
  return all_.empty() ? 0 : all_.front().number;
}

live_releases::entry live_releases::warm(const release_source& source) const {
  const std::lock_guard lock(mutex_);
  if (source.digest.empty()) return nullptr;
  for (const one& each : all_) {
    const release_source& had = each.what->source;
    if (each.state == release_state::warm && had.digest == source.digest &&
        had.prefix == source.prefix && had.conf == source.conf &&
        had.writable_prefix == source.writable_prefix && had.app_folder == source.app_folder) {
      return each.what;
    }
  }
  return nullptr;
}

std::vector<live_release> live_releases::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<live_release> listed;
  for (const one& each : all_) {
    if (each.state == release_state::draining && is_over(each)) continue;
    listed.push_back({each.number, each.what->source.digest, each.state, exchanges_of(*each.what)});
  }
  return listed;
}

void live_releases::clear() {
  const std::lock_guard lock(mutex_);
  all_.clear();
}

}  // namespace troupe
