// SPDX-License-Identifier: Apache-2.0
#include "cluster/enrolment.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

constexpr std::chrono::seconds again{2};

}  // namespace

enrolment::enrolment(const zmq_context& context, curve_pair keys,
                     std::function<signed_order()> membership, std::string if_denied,
                     log_function log)
    : membership_(std::move(membership)),
      if_denied_(std::move(if_denied)),
      log_(std::move(log)),
      link_(
          context,
          {.keys = std::move(keys),
           .log =
               [this](log_level level, std::string_view line) {
                 if (log_) log_(level, explained(line));
               }},
          {.on_link = [this](bool up,
                             instant now) { submit_at_ = up ? std::optional(now) : std::nullopt; },
           .on_message = [this](const message& what, instant now) { on_message(what, now); }}) {}

std::string enrolment::explained(std::string_view problem) const {
  std::string result(problem);
  if (problem.ends_with(upper_socket::denied_words)) result += ": " + if_denied_;
  return result;
}

void enrolment::addresses(std::vector<upper_address> those, instant now) {
  link_.addresses(std::move(those), now);
}

void enrolment::on_message(const message& what, instant now) {
  std::string error, reason;
  if (const auto* how_it_goes = std::get_if<progress>(&what)) {
    if (!how_it_goes->done) return;
    error = how_it_goes->error;
    reason = how_it_goes->reason;
  } else if (const auto* no = std::get_if<refused>(&what)) {
    error = no->error;
    reason = no->reason;
  } else {
    return;
  }
  if (error.empty()) {
    if (log_) log_(log_level::notice, "cluster: this node is a member now");
    problem_.clear();
    is_done_ = true;
    return;
  }
  if (problem_ != reason && log_) {
    log_(log_level::error, "cluster: this node was not made a member: " + reason);
  }
  problem_ = reason;
  submit_at_ = now + again;
}

void enrolment::pump(instant now) {
  link_.pump(now);
  if (is_done_ || !submit_at_ || now < *submit_at_) return;
  submit_at_ = now + again * 5;  // without an answer
  link_.send(submit{1, membership_()});
}

instant enrolment::next_tick() const {
  if (is_done_) return instant::max();
  return std::min(link_.next_tick(), submit_at_.value_or(instant::max()));
}

}  // namespace troupe::cluster
