// SPDX-License-Identifier: Apache-2.0
#include "net/live_cluster.hpp"

#include <algorithm>
#include <utility>

namespace troupe::net {
namespace {

// Outcomes that nobody has fetched: of scripts that have ended meanwhile.
constexpr std::size_t most_outcomes = 256;

}  // namespace

bool cluster_member::is_like(const cluster_member& other) const {
  return name == other.name && role == other.role && version == other.version &&
         address == other.address && serves == other.serves && labels == other.labels &&
         releases == other.releases && live == other.live && problem == other.problem;
}

void live_cluster::lead_to(outward ways) {
  auto made = std::make_shared<const outward>(std::move(ways));
  const std::lock_guard lock(mutex_);
  ways_ = std::move(made);
}

std::shared_ptr<const live_cluster::members> live_cluster::now() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

bool live_cluster::replace(std::vector<cluster_member> list) {
  auto made = std::make_shared<members>();
  made->list = std::move(list);
  const std::lock_guard lock(mutex_);
  const bool alike = std::ranges::equal(
      members_->list, made->list,
      [](const cluster_member& a, const cluster_member& b) { return a.is_like(b); });
  made->version = members_->version + (alike ? 0 : 1);
  members_ = std::move(made);
  if (!alike) version_.fetch_add(1, std::memory_order_release);
  return !alike;
}

void live_cluster::add(std::string topic, std::string from, std::string payload) {
  const std::lock_guard lock(mutex_);
  message_bytes_ += topic.size() + payload.size();
  messages_.push_back(std::make_shared<const cluster_message>(cluster_message{
      ++last_message_, std::move(topic), std::move(from), std::move(payload)}));
  while (messages_.size() > most_messages || message_bytes_ > most_message_bytes) {
    const cluster_message& oldest = *messages_.front();
    message_bytes_ -= oldest.topic.size() + oldest.payload.size();
    messages_.pop_front();
  }
  version_.fetch_add(1, std::memory_order_release);
}

live_cluster::heard live_cluster::since(std::uint64_t number, std::string_view topic) const {
  heard result;
  const std::lock_guard lock(mutex_);
  result.last = last_message_;
  const std::uint64_t oldest = last_message_ + 1 - messages_.size();
  if (number + 1 < oldest) result.missed = oldest - number - 1;
  for (const auto& each : messages_) {
    if (each->number > number && each->topic == topic) result.messages.push_back(each);
  }
  return result;
}

std::uint64_t live_cluster::last_message() const {
  const std::lock_guard lock(mutex_);
  return last_message_;
}

void live_cluster::publish(std::string topic, std::string payload) const {
  std::shared_ptr<const outward> ways;
  {
    const std::lock_guard lock(mutex_);
    ways = ways_;
  }
  if (ways->publish) ways->publish(std::move(topic), std::move(payload));
}

void live_cluster::subscribe(const std::string& topic) {
  std::shared_ptr<const outward> ways;
  {
    const std::lock_guard lock(mutex_);
    if (++subscribers_[topic] > 1) return;
    ways = ways_;
  }
  if (ways->subscribe) ways->subscribe(topic);
}

void live_cluster::unsubscribe(const std::string& topic) {
  std::shared_ptr<const outward> ways;
  {
    const std::lock_guard lock(mutex_);
    const auto found = subscribers_.find(topic);
    if (found == subscribers_.end() || --found->second > 0) return;
    subscribers_.erase(found);
    ways = ways_;
  }
  if (ways->unsubscribe) ways->unsubscribe(topic);
}

std::uint64_t live_cluster::push(cluster_push what) {
  std::shared_ptr<const outward> ways;
  {
    const std::lock_guard lock(mutex_);
    ways = ways_;
  }
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(outcomes_->mutex);
    number = ++outcomes_->last;
  }
  auto done = [kept = outcomes_, number](std::string outcome) {
    const std::lock_guard lock(kept->mutex);
    kept->by_number.emplace(number, std::move(outcome));
    if (kept->by_number.size() > most_outcomes) kept->by_number.erase(kept->by_number.begin());
  };
  if (ways->push) {
    ways->push(std::move(what), std::move(done));
  } else {
    done(R"({"error":"stopping","reason":"the node stops"})");
  }
  return number;
}

std::string live_cluster::outcome(std::uint64_t of) {
  const std::lock_guard lock(outcomes_->mutex);
  const auto found = outcomes_->by_number.find(of);
  if (found == outcomes_->by_number.end()) return {};
  std::string json = std::move(found->second);
  outcomes_->by_number.erase(found);
  return json;
}

}  // namespace troupe::net
