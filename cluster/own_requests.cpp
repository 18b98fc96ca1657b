// SPDX-License-Identifier: Apache-2.0
#include "cluster/own_requests.hpp"

#include "cluster/compression.hpp"
#include "cluster/lower_sockets.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

void put_ask(message& what, std::uint64_t ask) {
  std::visit(
      [ask](auto& one) {
        if constexpr (requires { one.ask; }) one.ask = ask;
      },
      what);
}

refusal_errc errc_of(const std::string& error) {
  if (error == "denied") return refusal_errc::denied;
  if (error == "unsupported") return refusal_errc::unsupported;
  if (error == "malformed") return refusal_errc::malformed;
  if (error == "failed") return refusal_errc::conflict;  // An answer, and it is no.
  return refusal_errc::io;
}

}  // namespace

void own_requests::ask(request what, instant now) {
  if (asks_ == 0) asks_ = first_ask(how_.asks_from, now);
  const std::uint64_t number = ++asks_;
  if (what.patience == std::chrono::milliseconds()) what.patience = how_.patience;
  what.until = now + what.patience;
  put_ask(what.asked, number);
  up_.send(open_.emplace(number, std::move(what)).first->second.asked);
}

void own_requests::submit(signed_order what, on_progress then, instant now) {
  request made{.progressed = std::move(then)};
  // A canary may be silent for as long as it is watched.
  if (const auto decoded = order::decode(what.bytes)) {
    const push_policy* policy = nullptr;
    if (const auto* release = std::get_if<release_order>(&decoded->body)) policy = &release->policy;
    if (const auto* back = std::get_if<rollback_order>(&decoded->body)) policy = &back->policy;
    if (policy != nullptr) {
      made.patience = how_.patience + policy->prepare_deadline + policy->canary_watch;
    }
  }
  made.asked = cluster::submit{0, std::move(what)};
  ask(std::move(made), now);
}

void own_requests::missing(std::vector<digest> names, on_missing then, instant now) {
  ask({.asked = missing_blobs{0, std::move(names)}, .listed = std::move(then)}, now);
}

void own_requests::query(std::string what, on_answer then, instant now) {
  ask({.asked = cluster::query{0, std::move(what)}, .answered = std::move(then)}, now);
}

void own_requests::put(const digest& name, std::string_view content, on_put then, instant now) {
  request made{.stored = std::move(then), .content = compress(content)};
  made.asked = put_blob{.name = name,
                        .total = made.content.size(),
                        .bytes = made.content.substr(0, blob_piece_bytes)};
  ask(std::move(made), now);
}

void own_requests::next_piece(std::uint64_t number, request& its) {
  auto& piece = std::get<put_blob>(its.asked);
  piece.ask = number;
  piece.offset = its.offset;
  piece.bytes = its.content.substr(its.offset, blob_piece_bytes);
  up_.send(its.asked);
}

void own_requests::fail(request& its, const std::string& error, const std::string& reason) {
  const auto refused = [&] { return tl::unexpected(refusal{errc_of(error), reason, {}}); };
  if (its.progressed) {
    progress no;
    const auto* sent = std::get_if<cluster::submit>(&its.asked);
    const auto decoded =
        sent != nullptr ? order::decode(sent->what.bytes) : tl::expected<order, refusal>(refused());
    if (decoded) no.id = decoded->id;
    no.done = true;
    no.error = error;
    no.reason = reason;
    its.progressed(no);
  }
  if (its.listed) its.listed(refused());
  if (its.stored) its.stored(refused());
  if (its.answered) its.answered(refused());
}

bool own_requests::on_message(const message& what, instant now) {
  const std::uint64_t number = ask_of(what);
  if (number <= how_.asks_from) return false;
  const auto found = open_.find(number);
  if (found == open_.end()) return true;  // it took too long, or was answered twice
  if (const auto* how_it_goes = std::get_if<progress>(&what); how_it_goes != nullptr) {
    if (!found->second.progressed) return true;
    found->second.until = now + found->second.patience;
    // It may ask for something else from within.
    const on_progress then = found->second.progressed;
    if (how_it_goes->done) open_.erase(found);
    then(*how_it_goes);
    return true;
  }
  if (const auto* stored = std::get_if<put_answer>(&what);
      stored != nullptr && found->second.stored && stored->problem.empty()) {
    request& its = found->second;
    its.offset += std::get<put_blob>(its.asked).bytes.size();
    its.until = now + its.patience;
    if (its.offset < its.content.size()) {
      next_piece(number, its);
      return true;
    }
  }
  request its = std::move(found->second);
  open_.erase(found);
  if (const auto* no = std::get_if<refused>(&what)) {
    fail(its, no->error, no->reason);
  } else if (const auto* stored = std::get_if<put_answer>(&what); stored != nullptr && its.stored) {
    if (stored->problem.empty()) {
      its.stored({});
    } else {
      fail(its, "failed", stored->problem);
    }
  } else if (const auto* list = std::get_if<missing_answer>(&what); list != nullptr && its.listed) {
    its.listed(list->names);
  } else if (const auto* answer = std::get_if<query_answer>(&what);
             answer != nullptr && its.answered) {
    its.answered(*answer);
  } else {
    fail(its, "failed", "the answer is a " + std::string(name_of(what)));
  }
  return true;
}

void own_requests::ask_again() {
  for (auto& [number, its] : open_) {
    if (its.stored) {
      // Who gets the pieces now has none of those before.
      its.offset = 0;
      next_piece(number, its);
    } else {
      up_.send(its.asked);
    }
  }
}

void own_requests::tick(instant now) {
  std::vector<request> late;
  for (auto at = open_.begin(); at != open_.end();) {
    if (now < at->second.until) {
      ++at;
      continue;
    }
    late.push_back(std::move(at->second));
    at = open_.erase(at);
  }
  for (request& one : late) {
    fail(one, "no_controller",
         "no controller has answered within " + std::to_string(one.patience.count() / 1000) +
             " s; " + std::string(may_be_done_words));
  }
}

instant own_requests::next_tick() const {
  instant first = instant::max();
  for (const auto& [number, its] : open_) first = std::min(first, its.until);
  return first;
}

void own_requests::end(const std::string& why) {
  auto open = std::exchange(open_, {});
  for (auto& [number, its] : open) fail(its, "no_controller", why);
}

}  // namespace troupe::cluster
