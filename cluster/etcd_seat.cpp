// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_seat.hpp"

#include "cluster/load_state.hpp"

#include <limits>
#include <utility>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

/// After it could not lead, or gave up: others first.
constexpr auto campaign_again = 3s;

}  // namespace

etcd_seat::etcd_seat(options how) : how_(std::move(how)), office_(how_.office) {}

etcd_seat::~etcd_seat() = default;

bool etcd_seat::leads() const {
  return step_ == step::leading && office_.held() == hold_;
}

std::string etcd_seat::leader_address() const {
  const auto leader = office_.leader();
  return leader ? leader->address : std::string();
}

std::string etcd_seat::problem() const {
  if (!problem_.empty()) return problem_;
  return office_.problem();
}

void etcd_seat::leave(instant now) {
  step_ = step::waiting;
  log_.reset();
  office_.resign();
  again_ = now + campaign_again;
}

void etcd_seat::complain(const std::string& text) {
  if (how_.log && text != problem_) how_.log(log_level::error, "cluster: " + text);
  problem_ = text;
}

void etcd_seat::fail(const std::string& what, const refusal& why, instant now) {
  complain(what + ": " + why.reason);
  leave(now);
}

void etcd_seat::tell_of_etcd() {
  const std::string trouble = office_.problem();
  if (trouble.empty() != is_etcd_away_ || !how_.log) return;
  is_etcd_away_ = !trouble.empty();
  if (is_etcd_away_) {
    how_.log(log_level::error,
             "cluster: " + trouble +
                 "; while no controller reaches etcd, nothing is changed, and all "
                 "serve what they have (--store, `etcdctl endpoint health`)");
  } else {
    how_.log(log_level::notice, "cluster: etcd answers again");
  }
}

void etcd_seat::tick(const change_log& own, instant now) {
  tell_of_etcd();
  if (log_) log_->poll();
  const auto held = office_.held();
  if (step_ == step::waiting) {
    if (now >= again_) office_.campaign(own.head().epoch, how_.may_begin());
    const auto leader = office_.leader();
    if (leader && leader->name != how_.office.name) problem_.clear();
    if (!held && office_.lacks_history()) {
      complain(
          "etcd has no history yet; the first to be started is the controller whose disk has the "
          "cluster's, or, of a new cluster, one without --join");
    }
    if (!held) return;
    hold_ = *held;
    log_ = std::make_unique<etcd_log>(
        etcd_log::options{.store = how_.office.store,
                          .fence = hold_.fence,
                          .valid_until = [this] { return office_.valid_until(); },
                          .wake = how_.office.wake,
                          .log = how_.log});
    step_ = step::reading;
    return;
  }
  if (step_ == step::leading) return;
  if (held != hold_) return leave(now);
  if (failed_) {
    const refusal why = *std::exchange(failed_, std::nullopt);
    return fail("this node could not take the lead", why, now);
  }
  if (step_ == step::reading) read_log(own, now);
  if (step_ == step::promoting && open_ == 0 && !failed_) {
    step_ = step::leading;
    problem_.clear();
  }
}

void etcd_seat::read_log(const change_log& own, instant now) {
  if (!log_->loaded()) return;
  if (!*log_->loaded()) {
    return fail("the log in etcd cannot be read", log_->loaded()->error(), now);
  }
  if (log_->head() != position()) return promote();
  if (own.head() == position()) return promote();
  step_ = step::beginning;
  if (how_.log) {
    how_.log(log_level::notice,
             "cluster: etcd has no history yet; it begins with that of this node, up to change " +
                 std::to_string(own.head().seq));
  }
  if (auto begun = begin_with(own); !begun) failed_ = std::move(begun.error());
}

/// A snapshot of one's own making would be none: it is as good as the signed checkpoint after it.
tl::expected<void, refusal> etcd_seat::begin_with(const change_log& own) {
  auto bytes = own.snapshot();
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  position at;
  if (*bytes) {
    const auto state = cluster_state::decode(**bytes, how_.root);
    if (!state) return tl::unexpected(state.error());
    at = state->at();
  }
  auto since = own.read(at.seq, std::numeric_limits<std::size_t>::max());
  if (!since) return tl::unexpected(std::move(since.error()));
  log_->begin_with(at, bytes->value_or(std::string()), *std::move(since),
                   [this](const tl::expected<void, refusal>& done) {
                     if (done) return promote();
                     failed_ = done.error();
                   });
  return {};
}

void etcd_seat::promote() {
  step_ = step::promoting;
  open_ = 0;
  auto state = load_state(*log_, how_.root);
  if (!state) {
    failed_ = std::move(state.error());
    return;
  }
  auto first = how_.first(*state, hold_.epoch);
  if (!first) {
    failed_ = std::move(first.error());
    return;
  }
  for (const signed_order& ordered : *first) {
    auto judged = state->judge(ordered, how_.wall_clock());
    change next;
    next.epoch = state->at().epoch;
    if (judged) {
      if (const auto* order = std::get_if<promote_order>(&judged->body)) next.epoch = order->epoch;
    }
    next.seq = state->at().seq + 1;
    next.parent = state->at().state;
    next.time = how_.wall_clock();
    next.ordered = ordered;
    auto applied = judged ? state->apply(next, signature_check::done)
                          : tl::expected<void, refusal>(tl::unexpected(judged.error()));
    if (!applied) {
      failed_ = std::move(applied.error());
      return;
    }
    ++open_;
    log_->append(next, [this](const tl::expected<void, refusal>& done) {
      --open_;
      if (!done && !failed_) failed_ = done.error();
    });
  }
}

}  // namespace troupe::cluster
