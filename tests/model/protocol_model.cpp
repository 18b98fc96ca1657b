// SPDX-License-Identifier: Apache-2.0
#include "tests/model/protocol_model.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace troupe::tests {
namespace {

constexpr unsigned node_count = 3;
using mask = unsigned char;
constexpr mask everyone = (1u << node_count) - 1;

// Changes: 'a' + push: its release; 'A' + push: activate; 'X' - push: abort; a digit: a promotion,
// of node digit % 3 to epoch digit / 3 + 1.
char release_of(unsigned push) {
  return static_cast<char>('a' + push);
}
char activate_of(unsigned push) {
  return static_cast<char>('A' + push);
}
char abort_of(unsigned push) {
  return static_cast<char>('X' - push);
}
char promotion_of(unsigned node, unsigned epoch) {
  return static_cast<char>('0' + (epoch - 1) * node_count + node);
}
bool is_promotion(char change) {
  return change >= '0' && change <= '9';
}
bool is_release(char change) {
  return change >= 'a' && change <= 'f';
}

/// Where a history stands: its epoch, whose it is (two promotions to one epoch are ordered by
/// that), and how long it is.
using place = std::tuple<unsigned, unsigned, std::size_t>;
place place_of(const std::string& history) {
  for (auto at = history.rbegin(); at != history.rend(); ++at) {
    if (!is_promotion(*at)) continue;
    const unsigned number = static_cast<unsigned>(*at - '0');
    return {number / node_count + 1, number % node_count, history.size()};
  }
  return {0, 0, history.size()};
}
unsigned epoch_of(const std::string& history) {
  return std::get<0>(place_of(history));
}

struct state {
  std::array<std::string, node_count> log;  ///< On disk.
  mask up = everyone;
  mask leads = 0;
  // Of a leader, gone with a crash: the end of its history that is not on its disk (a broken rule),
  // the nodes that it waits for and that have acknowledged.
  std::array<std::string, node_count> unsaved;
  std::array<mask, node_count> waits{};
  std::array<mask, node_count> ready{};
  std::array<bool, node_count> has_announced{};
  // What may still arrive.
  std::set<std::string> announced;
  std::set<std::pair<unsigned, std::string>> acks;  ///< Node, and the history that it answers.
  // For the invariants: nobody of the protocol reads these.
  std::array<mask, 4> prepared{};  ///< By push: nodes that have verified it.
  std::array<mask, 4> waited{};    ///< By push: nodes that had to.
  std::set<std::string> acknowledged;
  std::set<char> aside;
  unsigned pushes = 0;
  unsigned crashes = 0;
  unsigned promotions = 0;

  [[nodiscard]] std::string key() const {
    std::string result;
    const auto put = [&result](const std::string& text) { result += text + ','; };
    for (unsigned i = 0; i < node_count; ++i) {
      put(log[i]);
      put(unsaved[i]);
      result += static_cast<char>(waits[i] * 8 + ready[i]);
      result += has_announced[i] ? '!' : '.';
    }
    result += static_cast<char>(up * 8 + leads);
    for (const auto& one : announced) put(one);
    result += ';';
    for (const auto& [node, history] : acks) put(std::to_string(node) + history);
    result += ';';
    for (const mask one : prepared) result += static_cast<char>(one);
    for (const mask one : waited) result += static_cast<char>(one);
    for (const auto& one : acknowledged) put(one);
    result += ';';
    for (const char one : aside) result += one;
    result += static_cast<char>(pushes * 25 + crashes * 5 + promotions);
    return result;
  }
};

bool is_up(const state& s, unsigned node) {
  return (s.up >> node & 1) != 0;
}
bool is_leading(const state& s, unsigned node) {
  return (s.leads >> node & 1) != 0;
}
std::string whole(const state& s, unsigned node) {
  return s.log[node] + s.unsaved[node];
}
/// The push that is neither activated nor aborted.
std::optional<unsigned> undecided(const std::string& history) {
  for (auto at = history.rbegin(); at != history.rend(); ++at) {
    if (is_release(*at)) return static_cast<unsigned>(*at - 'a');
    if (!is_promotion(*at)) return std::nullopt;
  }
  return std::nullopt;
}
bool holds(const std::string& history, const std::string& prefix) {
  return history.starts_with(prefix);
}

class explorer {
 public:
  explorer(broken_rule broken, model_bounds bounds) : broken_(broken), bounds_(bounds) {}

  model_result run() {
    state first;
    first.log.fill(std::string(1, promotion_of(0, 1)));
    first.leads = 1;
    first.announced.insert(first.log[0]);
    first.has_announced[0] = true;
    visit(first, 0, "start");
    for (std::size_t at = 0; at < states_.size() && result_.violation.empty(); ++at) {
      // Copied: the vector grows below.
      const state from = states_[at];
      expand(from, at);
    }
    result_.states = states_.size();
    return result_;
  }

 private:
  void visit(const state& s, std::size_t from, const std::string& action) {
    if (!result_.violation.empty() || !known_.emplace(s.key(), states_.size()).second) return;
    states_.push_back(s);
    ways_.push_back({from, action});
    if (const std::string bad = violated(s); !bad.empty()) fail(bad);
  }

  void fail(const std::string& why) {
    result_.violation = why;
    for (std::size_t at = ways_.size() - 1; at != 0; at = ways_[at].from) {
      result_.trace.push_back(ways_[at].action);
    }
    std::reverse(result_.trace.begin(), result_.trace.end());
  }

  void go(const state& before, state next, std::size_t from, const std::string& action) {
    for (unsigned i = 0; i < node_count; ++i) {
      if (place_of(next.log[i]) >= place_of(before.log[i])) continue;
      visit(next, from, action);
      if (result_.violation.empty()) fail("node " + std::to_string(i) + " went back");
      return;
    }
    visit(next, from, action);
  }

  [[nodiscard]] std::string violated(const state& s) const {
    std::vector<std::string> all(s.announced.begin(), s.announced.end());
    for (unsigned i = 0; i < node_count; ++i) all.push_back(s.log[i]);
    std::unordered_map<std::string, std::string> seen;
    for (const std::string& history : all) {
      for (std::size_t length = 1; length <= history.size(); ++length) {
        const std::string part = history.substr(0, length);
        const auto [epoch, whose, seq] = place_of(part);
        const std::string at =
            std::to_string(epoch) + '/' + std::to_string(whose) + '/' + std::to_string(seq);
        if (const auto [known, is_new] = seen.emplace(at, part); !is_new && known->second != part) {
          return "two histories at one place: " + known->second + " and " + part;
        }
      }
    }
    for (const std::string& history : all) {
      for (unsigned push = 0; push < bounds_.pushes; ++push) {
        const auto begun = history.find(release_of(push));
        const auto active = history.find(activate_of(push));
        const auto aborted = history.find(abort_of(push));
        if (active == std::string::npos) continue;
        if (begun == std::string::npos || begun > active) return "active without a release";
        if (aborted != std::string::npos) return "activate and abort of one push";
        if ((s.waited[push] & ~s.prepared[push]) != 0) {
          return "activated before all that it waited for had verified it";
        }
      }
    }
    for (const std::string& done : s.acknowledged) {
      bool is_there = s.aside.contains(done.back());
      for (unsigned i = 0; i < node_count; ++i) is_there = is_there || holds(s.log[i], done);
      if (!is_there) return "an acknowledged change is lost: " + done;
    }
    return {};
  }

  // ---- what can happen

  void expand(const state& s, std::size_t at) {
    for (unsigned i = 0; i < node_count; ++i) {
      if (is_up(s, i)) {
        if (is_leading(s, i)) lead(s, at, i);
        follow(s, at, i);
        crash(s, at, i);
        promote(s, at, i);
      } else {
        restart(s, at, i);
      }
    }
  }

  void append(state& s, unsigned leader, char change) const {
    s.log[leader] += change;
    s.has_announced[leader] = false;
    s.waits[leader] = 0;
    s.ready[leader] = 0;
  }

  void lead(const state& s, std::size_t at, unsigned leader) {
    const std::string who = std::to_string(leader);
    const std::string history = whole(s, leader);
    const auto open = undecided(history);
    if (!open && s.pushes < bounds_.pushes && s.unsaved[leader].empty()) {
      state next = s;
      const char change = release_of(next.pushes++);
      if (broken_ == broken_rule::announce_before_append) {
        next.unsaved[leader] += change;
        next.has_announced[leader] = false;
      } else {
        append(next, leader, change);
      }
      go(s, next, at, who + " takes a push");
    }
    if (!s.unsaved[leader].empty()) {
      state next = s;
      next.log[leader] += std::exchange(next.unsaved[leader], std::string());
      go(s, next, at, who + " appends");
    }
    if (!s.has_announced[leader]) {
      // Whoever it finds live; itself it always is.
      for (mask live = 0; live <= everyone; ++live) {
        if ((live >> leader & 1) == 0 || (!open && live != everyone)) continue;
        state next = s;
        next.announced.insert(history);
        next.has_announced[leader] = true;
        if (open) {
          next.waits[leader] = live;
          next.waited[*open] = live;
        }
        go(s, next, at, who + " announces, waits for " + std::to_string(live));
      }
    }
    if (open && s.has_announced[leader] && s.unsaved[leader].empty()) {
      for (const auto& [node, answered] : s.acks) {
        if ((s.ready[leader] >> node & 1) != 0) continue;
        state next = s;
        next.ready[leader] |= static_cast<mask>(1u << node);
        go(s, next, at, who + " hears that " + std::to_string(node) + " is ready");
      }
      const bool are_ready = (s.waits[leader] & ~s.ready[leader]) == 0;
      if (are_ready || broken_ == broken_rule::activate_before_all_are_ready) {
        state next = s;
        append(next, leader, activate_of(*open));
        // Who ordered it is told when it is on the disk.
        next.acknowledged.insert(next.log[leader]);
        go(s, next, at, who + " activates");
      }
      // A refusal that arrived, or the deadline.
      state next = s;
      append(next, leader, abort_of(*open));
      go(s, next, at, who + " aborts");
    }
    if (broken_ == broken_rule::activate_after_abort && !history.empty() && s.pushes > 0 &&
        history.back() == abort_of(s.pushes - 1)) {
      state next = s;
      append(next, leader, activate_of(s.pushes - 1));
      go(s, next, at, who + " activates what it aborted");
    }
    // It hears of a promotion that ends its own.
    for (const std::string& other : s.announced) {
      const auto [epoch, whose, length] = place_of(other);
      const auto [own_epoch, own_whose, own_length] = place_of(history);
      if (std::tie(epoch, whose) <= std::tie(own_epoch, own_whose)) continue;
      state next = s;
      next.leads &= static_cast<mask>(~(1u << leader));
      next.unsaved[leader].clear();
      next.waits[leader] = next.ready[leader] = 0;
      next.has_announced[leader] = false;
      go(s, next, at, who + " steps down");
      break;
    }
  }

  void follow(const state& s, std::size_t at, unsigned node) {
    const std::string who = std::to_string(node);
    if (!is_leading(s, node)) {
      for (const std::string& heard : s.announced) {
        if (heard == s.log[node]) continue;
        const bool is_next = heard.size() > s.log[node].size() && holds(heard, s.log[node]);
        const auto [epoch, whose, length] = place_of(heard);
        const auto [own_epoch, own_whose, own_length] = place_of(s.log[node]);
        bool is_higher = std::tie(epoch, whose) > std::tie(own_epoch, own_whose);
        if (broken_ == broken_rule::follow_any_longer_history) {
          is_higher = length > own_length;
        } else if (broken_ == broken_rule::equal_epochs_are_not_ordered) {
          is_higher = epoch > own_epoch || (epoch == own_epoch && whose != own_whose);
        }
        if (!is_next && !is_higher) continue;
        state next = s;
        if (!is_next) keep_aside(next, s.log[node], heard);
        next.log[node] = heard;
        go(s, next, at, who + " takes " + heard);
      }
    }
    // A refusal needs no move of its own: who refused never is ready, and a leader may abort any
    // time.
    const auto open = undecided(s.log[node]);
    if (!open) return;
    if (broken_ == broken_rule::acknowledgements_without_position) {
      state next = s;
      next.prepared[*open] |= static_cast<mask>(1u << node);
      next.acks.insert({node, s.log[node]});
      go(s, next, at, who + " is ready");
      return;
    }
    for (unsigned leader = 0; leader < node_count; ++leader) {
      if (!is_leading(s, leader) || !s.has_announced[leader] || whole(s, leader) != s.log[node]) {
        continue;
      }
      state next = s;
      next.prepared[*open] |= static_cast<mask>(1u << node);
      next.ready[leader] |= static_cast<mask>(1u << node);
      go(s, next, at, who + " is ready, " + std::to_string(leader) + " hears it");
    }
  }

  static void keep_aside(state& s, const std::string& ours, const std::string& theirs) {
    for (const char change : ours) {
      if (theirs.find(change) == std::string::npos) s.aside.insert(change);
    }
  }

  void crash(const state& s, std::size_t at, unsigned node) {
    if (s.crashes == bounds_.crashes) return;
    state next = s;
    ++next.crashes;
    next.up &= static_cast<mask>(~(1u << node));
    next.leads &= static_cast<mask>(~(1u << node));
    next.unsaved[node].clear();
    next.waits[node] = next.ready[node] = 0;
    next.has_announced[node] = false;
    go(s, next, at, std::to_string(node) + " crashes");
  }

  void restart(const state& s, std::size_t at, unsigned node) {
    state next = s;
    next.up |= static_cast<mask>(1u << node);
    const auto [epoch, whose, length] = place_of(s.log[node]);
    if (whose == node && epoch != 0) {
      next.leads |= static_cast<mask>(1u << node);
      if (const auto open = undecided(next.log[node])) append(next, node, abort_of(*open));
    }
    go(s, next, at, std::to_string(node) + " restarts");
  }

  void promote(const state& s, std::size_t at, unsigned node) {
    if (s.promotions == bounds_.promotions || is_leading(s, node)) return;
    for (mask reached = 0; reached <= everyone; ++reached) {
      if ((reached >> node & 1) == 0 || (reached & ~s.up) != 0) continue;
      state next = s;
      ++next.promotions;
      std::string furthest = s.log[node];
      for (unsigned i = 0; i < node_count; ++i) {
        if ((reached >> i & 1) == 0) continue;
        if (broken_ == broken_rule::promote_without_the_furthest_history) continue;
        if (place_of(s.log[i]) > place_of(furthest)) furthest = s.log[i];
      }
      const unsigned epoch = epoch_of(furthest) + 1;
      if (epoch > 3) continue;
      if (!holds(furthest, s.log[node])) keep_aside(next, s.log[node], furthest);
      next.log[node] = furthest + promotion_of(node, epoch);
      next.leads |= static_cast<mask>(1u << node);
      next.has_announced[node] = false;
      next.waits[node] = next.ready[node] = 0;
      if (const auto open = undecided(next.log[node])) append(next, node, abort_of(*open));
      const std::string action = std::to_string(node) + " is promoted, reaching " +
                                 std::to_string(reached) + ": " + next.log[node];
      for (const std::string& done : s.acknowledged) {
        bool was_reached = false;
        for (unsigned i = 0; i < node_count; ++i) {
          was_reached = was_reached || ((reached >> i & 1) != 0 && holds(s.log[i], done) &&
                                        epoch_of(s.log[i]) == epoch_of(furthest));
        }
        if (!was_reached || holds(next.log[node], done)) continue;
        visit(next, at, action);
        if (result_.violation.empty()) fail("a promotion left out what a node that it reached has");
        return;
      }
      go(s, next, at, action);
    }
  }

  broken_rule broken_;
  model_bounds bounds_;
  model_result result_;
  struct way {
    std::size_t from = 0;
    std::string action;
  };
  std::vector<state> states_;
  std::vector<way> ways_;
  std::unordered_map<std::string, std::size_t> known_;
};

}  // namespace

model_result search(broken_rule broken, model_bounds bounds) {
  return explorer(broken, bounds).run();
}

}  // namespace troupe::tests
