// SPDX-License-Identifier: Apache-2.0
#include "runtime/dictionaries.hpp"

#include <string>

namespace troupe {

void dictionaries::give(actors::site& site) {
  const std::lock_guard lock(mutex_);
  std::erase_if(all_, [](const auto& one) { return one.expired(); });
  for (const actors::dict_definition& wanted : site.dicts) {
    std::shared_ptr<lua::shared_dict> found;
    for (const auto& known : all_) {
      if (auto dict = known.lock(); dict && dict->name() == wanted.name) found = std::move(dict);
    }
    if (!found) {
      found = std::make_shared<lua::shared_dict>(wanted.name, wanted.capacity);
      all_.push_back(found);
    } else if (wanted.capacity > found->capacity()) {
      found->resize(wanted.capacity);
    }
    site.kept_dicts.push_back(std::move(found));
  }
}

void dictionaries::settle(const actors::site& site) {
  for (std::size_t i = 0; i < site.kept_dicts.size(); ++i) {
    lua::shared_dict& dict = *site.kept_dicts[i];
    const std::size_t wanted = site.dicts[i].capacity;
    if (dict.capacity() == wanted) continue;
    const std::size_t dropped = dict.resize(wanted);
    if (dropped > 0 && site.error_log && site.error_log->enabled(net::log_level::warn)) {
      site.error_log->write(net::log_level::warn,
                            "lua_shared_dict \"" + dict.name() + "\" was made smaller: " +
                                std::to_string(dropped) + " entries had no room");
    }
  }
}

}  // namespace troupe
