// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/simulation.hpp"

#include "cluster/compression.hpp"

#include <cstring>

namespace troupe::tests {
namespace {

using namespace std::chrono_literals;

constexpr auto client_retry = 1s;

}  // namespace

order simulation::make_order(std::string app, order_body body) {
  order made;
  const digest hash = digest::of("order " + std::to_string(++orders_));
  std::memcpy(made.id.data(), hash.bytes.data(), made.id.size());
  made.app = std::move(app);
  made.author = "ann";
  // By nobody's clock that jumps.
  made.time = wall_time(std::chrono::hours(24 * 365 * 50));
  made.expires = wall_time(std::chrono::hours(24 * 365 * 60));
  made.body = std::move(body);
  return made;
}

signed_order simulation::sign(const order& what) const {
  return admin_ ? signed_order::make(what, *admin_) : signed_order::make_unsigned(what);
}

simulation::client& simulation::submit_signed(const std::string& via, const signed_order& what,
                                              const order_id& id) {
  auto made = std::make_unique<client>();
  made->id = id;
  made->via = via;
  made->what = what;
  made->retry = now_;
  clients_.push_back(std::move(made));
  send_client(*clients_.back());
  return *clients_.back();
}

simulation::client& simulation::submit(const std::string& via, const order& what,
                                       std::map<digest, std::string> blobs) {
  auto made = std::make_unique<client>();
  made->id = what.id;
  made->via = via;
  made->what = sign(what);
  made->blobs = std::move(blobs);
  for (const auto& [name, content] : made->blobs) made->to_send.insert(name);
  made->retry = now_;
  clients_.push_back(std::move(made));
  send_client(*clients_.back());
  return *clients_.back();
}

simulation::client& simulation::set(const std::string& via, const std::string& key,
                                    const std::string& value, selector scope) {
  config_order body;
  body.key = key;
  body.value = value;
  body.scope = std::move(scope);
  return submit(via, make_order("default", body));
}

simulation::client& simulation::push(const std::string& via, const std::string& app,
                                     unsigned content, push_policy policy, selector to) {
  std::map<digest, std::string> blobs;
  manifest files;
  for (unsigned i = 0; i < 3; ++i) {
    // One file is in every release, the others are its own; the last does not fit an announcement.
    std::string text =
        app + (i == 0 ? "" : " " + std::to_string(content) + " " + std::to_string(i));
    if (i == 2) {
      std::mt19937 noise(content);
      for (unsigned at = 0; at < 80'000; ++at) text += static_cast<char>(noise());
    }
    const digest name = digest::of(text);
    files.files.push_back({"lua/" + std::to_string(i) + ".lua", false, text.size(), name});
    blobs[name] = std::move(text);
  }
  files.sort();
  release_order body;
  body.manifest = files.id();
  const std::string bytes = files.encode();
  body.manifest_bytes = bytes.size();
  body.policy = policy;
  body.to = std::move(to);
  blobs[body.manifest] = bytes;
  ordered_manifests_.insert(body.manifest);
  return submit(via, make_order(app, body), std::move(blobs));
}

simulation::client& simulation::rollback(const std::string& via, const std::string& app,
                                         std::uint32_t release) {
  rollback_order body;
  body.release = release;
  return submit(via, make_order(app, body));
}

simulation::client& simulation::hand_over(const std::string& via, const std::string& to) {
  return submit(via, make_order({}, promote_order{to, at(via).node->state().at().epoch + 1}));
}

void simulation::promote(const std::string& name, std::uint64_t epoch) {
  machine& of = at(name);
  if (!of.is_up || of.is_dying || of.leads || of.takes_over) return;
  if (epoch == 0) epoch = of.node->state().at().epoch + 1;
  note("promote " + name + " to epoch " + std::to_string(epoch));
  of.promotion = sign(make_order({}, promote_order{name, epoch}));
  lose_link(of);
  takeover::options how;
  how.log = [this, name](log_level, std::string_view line) {
    note(name + ": " + std::string(line));
  };
  of.takes_over = std::make_unique<takeover>(how, *of.node, of, now_);
}

void simulation::send_client(client& whom) {
  if (whom.is_done || whom.gave_up) return;
  machine& via = at(whom.via);
  whom.retry = now_ + client_retry;
  if (!via.is_up || via.is_dying) return;
  whom.ask = agent_asks + ++asks_;
  if (!whom.to_send.empty()) {
    const digest name = *whom.to_send.begin();
    const std::string bytes = compress(whom.blobs.at(name));
    put_blob piece{whom.ask, name, 0, bytes.size(), bytes};
    from_below(via, piece);
    return;
  }
  from_below(via, troupe::cluster::submit{whom.ask, whom.what});
}

void simulation::on_answer(machine& there, const message& what) {
  for (auto& one : clients_) {
    if (one->is_done || one->via != there.name) continue;
    if (const auto* put = std::get_if<put_answer>(&what); put != nullptr && put->ask == one->ask) {
      one->problem = put->problem;
      if (put->problem.empty()) {
        one->to_send.erase(put->name);
        send_client(*one);
      }
      return;
    }
    if (const auto* how = std::get_if<progress>(&what); how != nullptr && how->ask == one->ask) {
      tell(*one, *how);
      return;
    }
  }
}

void simulation::tell(client& whom, const progress& how) {
  whom.retry = now_ + client_retry;
  // Another controller: what was sent is to be sent again, and asked again.
  whom.problem = how.reason;
  if (how.done && how.error == "missing_content") {
    for (const auto& [name, content] : whom.blobs) whom.to_send.insert(name);
    return;
  }
  if (how.done && how.error == "no_controller") return;
  whom.last = how;
  if (!how.done) return;
  note("order " + text(whom.id).substr(0, 6) + " is done: " + how.state + " " + how.error + " " +
       how.reason);
  whom.is_done = true;
  whom.done_at = now_;
  whom.answered_epoch = epoch_above(whom.via);
}

std::uint64_t simulation::epoch_above(const std::string& name) {
  std::string at_name = name;
  for (std::size_t i = 0; i < machines_.size() && !at_name.empty(); ++i) {
    const machine& one = at(at_name);
    if (one.leads) return one.leads->state().at().epoch;
    at_name = one.upper;
  }
  return 0;
}

void simulation::tick_clients() {
  for (auto& one : clients_) {
    if (!one->is_done && !one->gave_up && one->retry <= now_) send_client(*one);
  }
}

}  // namespace troupe::tests
