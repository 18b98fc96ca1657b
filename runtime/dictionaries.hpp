// SPDX-License-Identifier: Apache-2.0
//
// The shared dictionaries of a node. They outlive releases: one name is one dictionary, which all
// releases see that live at the same time, whatever size they give it. Two of a name would mean that
// what an old exchange counts or caches is lost, and that a lock taken in one release does not hold in
// the other. A dictionary goes with the last release that names it.
//
// Source   lua_shared_dict; on nginx a zone whose size changed starts empty.
// Thread   any.
// Called   by runtime/node.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "actors/site.hpp"
#include "lua/shared_dict.hpp"

namespace troupe {

class dictionaries {
 public:
  /// Gives a release the dictionaries that it names. One that it wants larger grows at once, as its init
  /// may fill it; one that it wants smaller stays as it is until settle().
  void give(actors::site& site);
  /// All sizes are those of this release from here on.
  void settle(const actors::site& site);

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<lua::shared_dict>> all_;
};

}  // namespace troupe
