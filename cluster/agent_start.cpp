// SPDX-License-Identifier: Apache-2.0
//
// How an agent starts: what is checked, opened and bound, and which part it takes first.
#include "cluster/agent_core.hpp"

#include <utility>

#include <unistd.h>

namespace troupe::cluster {

namespace {

constexpr std::chrono::seconds reach_store_within{5};

tl::unexpected<refusal> refuse(refusal_errc errc, std::string reason) {
  return tl::unexpected(refusal{errc, std::move(reason), {}});
}

/// As others can reach it: nobody can connect to a wildcard.
std::string reachable(link_address at) {
  if (at.host == "0.0.0.0" || at.host == "::" || at.host == "*") {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) == 0 && name[0] != '\0') at.host = name;
  }
  return at.text();
}

}  // namespace

tl::expected<void, refusal> agent_core::check() const {
  if (!how_.store.empty()) {
    if (const auto store = etcd_address::parse(how_.store); !store) {
      return tl::unexpected(store.error());
    }
    if (!how_.is_controller) {
      return refuse(refusal_errc::malformed,
                    "--store is for controllers: add --controller, or leave --store out, for other "
                    "nodes need no etcd");
    }
    if (how_.is_relay) {
      return refuse(refusal_errc::malformed,
                    "--store and --relay: a relay keeps no history for others; leave one of them out");
    }
  }
  if (how_.name.empty()) return refuse(refusal_errc::malformed, "a node needs a name");
  if (how_.listen.empty() && (how_.is_controller || how_.is_relay)) {
    return refuse(refusal_errc::malformed,
                  std::string(how_.is_controller ? "a controller" : "a relay") +
                      " needs an address for others to link to (--listen HOST:PORT)");
  }
  std::vector<std::string> all = how_.join;
  if (!how_.listen.empty()) all.push_back(how_.listen);
  for (const std::string& text : all) {
    const auto at = link_address::parse(text);
    if (!at) return tl::unexpected(at.error());
    if (keys_.has_keys || at->is_loopback()) continue;
    return refuse(refusal_errc::denied,
                  "without keys a cluster is for this machine alone, and " + text +
                      " is not loopback; make keys with `troupe keys init`, or start the node with "
                      "a token (`troupe keys token`)");
  }
  return {};
}

tl::expected<void, refusal> agent_core::bind(instant) {
  zap::options who;
  who.has_keys = keys_.has_keys;
  who.log = how_.log;
  auto handler = zap::bind(*context_, std::move(who));
  if (!handler) return tl::unexpected(handler.error());
  zap_ = std::move(*handler);
  lower_sockets::options how;
  how.listen = *link_address::parse(how_.listen);
  if (keys_.has_keys) how.keys = keys_.links;
  how.log = how_.log;
  how.limits.log = how_.log;
  auto sockets = lower_sockets::open(
      *context_, *zap_, std::move(how),
      {.on_message = [this](const peer_id& from, link_role, message what,
                            instant now) { on_request(from, std::move(what), now); },
       .on_subscribed = [this](const peer_id& from, std::string_view topic,
                               instant now) { on_subscribed(from, topic, now); },
       .on_unsubscribed =
           [this](std::string_view topic, instant) {
             const bool is_ours = own_topics_.contains(topic);
             if (upper_ && topic.starts_with(topic_app_prefix) && !is_ours) {
               upper_->unsubscribe(std::string(topic));
             }
           },
       .on_gone =
           [this](const peer_id& from, instant now) {
             if (controller_) controller_->on_gone(from, now);
             if (relay_) relay_->on_gone(from, now);
           }});
  if (!sockets) return tl::unexpected(sockets.error());
  lower_ = std::move(*sockets);
  local_.below(lower_.get());
  address_ = reachable(lower_->address());
  loop_.add(*zap_);
  loop_.add(*lower_);
  return {};
}

/// The first orders of a new cluster.
tl::expected<std::vector<signed_order>, refusal> agent_core::founding() const {
  auto member = keys_.membership(how_.name, address_, true);
  if (!member) {
    return refuse(
        refusal_errc::denied,
        "a new cluster is made by who has the operator's keys: `troupe keys init` on this "
        "machine, or a token of `troupe keys token --controller`");
  }
  order promote = fresh_order(how_.name, promote_order{how_.name, 1});
  return std::vector<signed_order>{std::move(*member), keys_.sign(promote)};
}

/// What makes this node lead when etcd says so.
tl::expected<std::vector<signed_order>, refusal> agent_core::leading_orders(
    const cluster_state& state, std::uint64_t epoch) const {
  std::vector<signed_order> result;
  const auto found = state.members().find(how_.name);
  if (found == state.members().end() || found->second.curve != keys_.links.public_key) {
    auto member = keys_.membership(how_.name, address_, true);
    if (!member) {
      return refuse(refusal_errc::denied,
                    "this node is no member yet and has neither the operator's keys nor a token "
                    "(`troupe keys token --controller`)");
    }
    result.push_back(std::move(*member));
  }
  result.push_back(keys_.sign(fresh_order(how_.name, promote_order{how_.name, epoch})));
  return result;
}

/// A node that has served goes on without etcd; to one that is set up, mistakes are told at once.
tl::expected<void, refusal> agent_core::reach_store() const {
  const auto store = *etcd_address::parse(how_.store);
  etcd_client etcd(store);
  const auto found = etcd.range(etcd_keys{store.prefix}.head(), {}, 1,
                                std::chrono::steady_clock::now() + reach_store_within);
  if (found) return {};
  const bool is_denied = found.error().errc == refusal_errc::denied;
  return refuse(found.error().errc,
                "--store: " + found.error().reason +
                    (is_denied ? "; give a user who may read and write the keys below \"" +
                                     store.prefix + "/\": etcd://USER:PASSWORD@HOST:PORT"
                               : "; etcd has to run when a controller starts for the first time: "
                                 "see that these are its client addresses (`etcdctl endpoint "
                                 "health --endpoints …`)"));
}

void agent_core::open_seat() {
  etcd_seat::options how;
  how.office.store = *etcd_address::parse(how_.store);
  how.office.name = how_.name;
  how.office.address = address_;
  how.office.wake = [this] { loop_.wake(); };
  how.root = keys_.root;
  how.first = [this](const cluster_state& state, std::uint64_t epoch) {
    return leading_orders(state, epoch);
  };
  how.wall_clock = wall_now;
  how.may_begin = [this] {
    return (how_.join.empty() && keys_.token_servers.empty()) ||
           follower_->state().controller() == how_.name;
  };
  how.log = how_.log;
  seat_ = std::make_unique<etcd_seat>(std::move(how));
  moved_ = true;  // whoever leads is first among those to link to
}

tl::expected<void, refusal> agent_core::start(instant now) {
  now_ = now;
  if (auto fine = check(); !fine) return fine;
  raise_descriptor_limit();
  auto context = zmq_context::make();
  if (!context) return tl::unexpected(context.error());
  context_ = std::move(*context);
  if (!how_.listen.empty()) {
    if (auto bound = bind(now); !bound) return bound;
  }
  auto log = sqlite_log::open(how_.data_folder + "/cluster.db");
  if (!log) return tl::unexpected(log.error());
  log_ = std::move(*log);

  follower::options node;
  node.name = how_.name;
  node.version = how_.version;
  node.address = address_;
  node.labels = how_.labels;
  node.root = keys_.root;
  node.log = how_.log;
  // The runtime may answer when this has ended.
  node.wake = [&loop = loop_] { loop.wake(); };
  node.on_state = [this] { is_changed_ = true; };
  follower_ = std::make_unique<follower>(std::move(node), *log_, blobs_, runtime_, link_);
  if (auto done = follower_->start(now); !done) return done;

  const bool is_new = log_->head() == position();
  const auto lost = log_->lost_epoch();
  if (!lost) return tl::unexpected(lost.error());
  lost_epoch_ = *lost;
  const bool leads = follower_->state().controller() == how_.name &&
                     follower_->state().at().epoch > lost_epoch_;
  if (leads && !lower_) {
    return refuse(refusal_errc::malformed,
                  "this node leads the cluster and needs its address (--listen HOST:PORT)");
  }
  if (!how_.store.empty()) {
    if (is_new) {
      if (auto reached = reach_store(); !reached) return reached;
    }
    open_seat();
    follow(now);
  } else if (leads) {
    if (auto done = lead({}, now); !done) return done;
  } else if (is_new && how_.is_controller && how_.join.empty() && keys_.token_servers.empty()) {
    auto first = founding();
    if (!first) return tl::unexpected(first.error());
    if (auto done = lead(std::move(*first), now); !done) return done;
  } else if (addresses().empty()) {
    const std::string leader(follower_->state().controller());
    return refuse(refusal_errc::malformed,
                  leader.empty() ? "this node knows of no controller (--join HOST:PORT, or "
                                   "--controller for a new cluster)"
                                 : "by this node's history " + leader +
                                       " leads, and nobody's address is in it: --join HOST:PORT of a "
                                       "node of the cluster");
  } else {
    follow(now);
  }
  if (lower_ && keys_.has_keys) {
    if (auto noted = keys_.note_bound(address_); !noted) {
      say(log_level::warn, "cluster: others of this machine cannot find this node by its key: " +
                               noted.error().reason);
    }
  }
  loop_.add(*this);
  show(now);
  return {};
}

}  // namespace troupe::cluster
