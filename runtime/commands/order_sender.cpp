// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/order_sender.hpp"

#include "cluster/canary_gate.hpp"
#include "cluster/cluster_state.hpp"
#include "runtime/cluster_way.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/progress_display.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/key_files.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <unistd.h>

namespace troupe {
namespace {

using json = node_call::json;

// Judged by the controller when it takes the order: long enough for clocks that differ.
constexpr std::chrono::minutes good_for{15};
constexpr int attempts = 5;
constexpr std::chrono::milliseconds between_attempts{400};

// What an interrupted command says; the only way to it from a signal handler.
struct interruption {
  char text[512];
  std::size_t size = 0;
};
interruption* volatile told_when_interrupted = nullptr;

void on_interrupt(int) {
  if (const interruption* what = told_when_interrupted; what != nullptr) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, what->text, what->size);
  }
  _exit(128 + SIGINT);
}

/// While it lives, Ctrl-C says that the order goes on; unless somebody handles Ctrl-C already.
class interrupt_notice {
 public:
  explicit interrupt_notice(const std::string& id) {
    const std::string text = "\ninterrupted: the order goes on in the cluster\n  hint: `troupe push --outcome " +
                             id + "` says how it went\n";
    what_.size = text.copy(what_.text, sizeof what_.text);
    struct sigaction now {};
    sigaction(SIGINT, nullptr, &now);
    is_ours_ = (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
    if (!is_ours_) return;
    told_when_interrupted = &what_;
    std::signal(SIGINT, on_interrupt);
  }
  ~interrupt_notice() {
    if (!is_ours_) return;
    std::signal(SIGINT, SIG_DFL);
    told_when_interrupted = nullptr;
  }
  interrupt_notice(const interrupt_notice&) = delete;
  interrupt_notice& operator=(const interrupt_notice&) = delete;

 private:
  interruption what_;
  bool is_ours_ = false;
};

int status_of(const json& last) {
  const std::string error = last.contains("error") ? last["error"].get<std::string>() : "";
  if (error == "overtaken") return exit_overtaken;
  if (error == "no_controller" || error == "no_answer") return exit_no_answer;
  const std::string state = last["state"].get<std::string>();
  if (state == "partial") return exit_partly;
  return error.empty() && state != "aborted" ? exit_done : exit_refused;
}

/// What an order is for; everyone: it has no such thing.
const cluster::selector* scope_of(const cluster::order& what) {
  if (const auto* release = std::get_if<cluster::release_order>(&what.body)) return &release->to;
  if (const auto* back = std::get_if<cluster::rollback_order>(&what.body)) return &back->to;
  if (const auto* value = std::get_if<cluster::config_order>(&what.body)) return &value->scope;
  return nullptr;
}

/// Of whose order may be taken.
std::string_view role_for(const cluster::order& what) {
  if (std::holds_alternative<cluster::release_order>(what.body) ||
      std::holds_alternative<cluster::rollback_order>(what.body)) {
    return "push";
  }
  return std::holds_alternative<cluster::config_order>(what.body) ? "config" : "admin";
}

std::optional<std::chrono::milliseconds> canary_watch_of(const cluster::order& what) {
  const cluster::push_policy* policy = nullptr;
  if (const auto* release = std::get_if<cluster::release_order>(&what.body)) policy = &release->policy;
  if (const auto* back = std::get_if<cluster::rollback_order>(&what.body)) policy = &back->policy;
  if (policy == nullptr || policy->canary_percent == 0) return std::nullopt;
  return policy->canary_watch;
}

}  // namespace

std::optional<diagnostic> wrong_app(const std::string& app) {
  if (app.empty() || cluster::is_cluster_name(app)) return std::nullopt;
  return diagnostic{.reason = "--app: \"" + app + "\" is no name of an app",
                    .hint = "up to 64 letters, digits and - _ ."};
}

void complain_of_nodes(const json& last) {
  if (!last.is_object() || !last.contains("nodes")) return;
  for (const json& node : last["nodes"]) {
    const std::string state = node["state"].get<std::string>();
    const bool is_late = state == "behind" || state == "unreachable";
    if (!is_late && state != "refused") continue;
    std::string reason = node["name"].get<std::string>();
    reason += state == "behind"        ? " is behind the others, and takes it when it can"
              : state == "unreachable" ? " is not reached, and takes it when it comes back"
                                       : " refused";
    if (node["reason"].is_string()) reason += ": " + node["reason"].get<std::string>();
    complain(diagnostic{.reason = std::move(reason)});
  }
}

std::vector<own_flag> order_words::flags(bool steps) {
  std::vector<own_flag> all = {
      {.name = "--app", .placeholder = "NAME", .help = "which app of the cluster [default]", .value = &app},
      {.name = "--to",
       .placeholder = "SELECTOR",
       .help = "only these nodes: labels and a share, zone=eu,20% [all]",
       .value = &to}};
  if (!steps) return all;
  all.push_back({.name = "--require",
                 .placeholder = "N%",
                 .help = "goes on when so many of the live nodes are ready [100%]",
                 .value = &require});
  all.push_back({.name = "--canary",
                 .placeholder = "N%",
                 .help = "this share of the nodes goes first",
                 .value = &canary});
  all.push_back({.name = "--watch",
                 .placeholder = "TIME",
                 .help = "how long the canary is watched [60s]",
                 .value = &watch});
  all.push_back({.name = "--stop-if",
                 .placeholder = "GATE",
                 .help = "what ends the canary and goes back: 'errors>1%'",
                 .value = &stop_if});
  all.push_back({.name = "--expect",
                 .placeholder = "N",
                 .help = "only if release N is what serves; else exit status 5",
                 .value = &expect});
  return all;
}

std::optional<unsigned> percent_of(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number >= 1 && number <= 100 ? std::optional(number) : std::nullopt;
}

std::optional<std::chrono::milliseconds> duration_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0 || number > 1e7) return {};
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double ms = number;
  if (unit == "s" || unit.empty())
    ms *= 1000;
  else if (unit == "m")
    ms *= 60'000;
  else if (unit == "h")
    ms *= 3'600'000;
  else if (unit != "ms")
    return {};
  return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

tl::expected<cluster::selector, diagnostic> order_words::selector() const {
  auto parsed = cluster::selector::parse(to);
  if (!parsed) {
    return tl::unexpected(diagnostic{.reason = "--to: " + parsed.error().reason,
                                     .hint = "labels and a share of the nodes: zone=eu,tier=web,20%"});
  }
  for (const auto& [name, value] : parsed->labels) {
    // A shell's variable that was not set; no node has such a label.
    if (!value.empty()) continue;
    return tl::unexpected(diagnostic{.reason = "--to: label " + name + " has no value",
                                     .hint = name + "=VALUE names nodes; without --to it is for all"});
  }
  return *parsed;
}

tl::expected<cluster::push_policy, diagnostic> order_words::policy() const {
  cluster::push_policy policy;
  const auto wrong = [](const char* flag, const std::string& text, const char* hint) {
    return tl::unexpected(diagnostic{.reason = std::string(flag) + ": \"" + text + "\" makes no sense",
                                     .hint = hint});
  };
  if (!require.empty()) {
    const auto share = percent_of(require);
    if (!share) return wrong("--require", require, "a share of the nodes: 1% to 100%");
    policy.require_percent = *share;
  }
  if (canary.empty()) {
    if (!watch.empty() || !stop_if.empty()) {
      return tl::unexpected(diagnostic{.reason = "--watch and --stop-if are of a canary",
                                       .hint = "--canary 20% makes one"});
    }
    return policy;
  }
  const auto share = percent_of(canary);
  if (!share) return wrong("--canary", canary, "a share of the nodes: 1% to 100%");
  policy.canary_percent = *share;
  const auto time = duration_of(watch.empty() ? "60s" : watch);
  if (!time) return wrong("--watch", watch, "a time: 60s, 5m, 500ms");
  policy.canary_watch = *time;
  if (const auto gate = cluster::canary_gate::parse(stop_if); !gate) {
    return tl::unexpected(diagnostic{.reason = "--stop-if: " + gate.error().reason,
                                     .hint = "--stop-if 'errors>1%'"});
  }
  policy.stop_if = stop_if;
  return policy;
}

cluster::order new_order(std::string app, cluster::order_body body, std::string message) {
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  cluster::order made;
  made.id = cluster::new_order_id();
  made.app = std::move(app);
  made.author = command_author();
  made.message = std::move(message);
  made.time = now;
  made.expires = now + good_for;
  made.body = std::move(body);
  return made;
}

order_sender::ended order_sender::send(const cluster::order& what,
                                       const std::function<std::string(const json&)>& heading,
                                       bool steps) {
  const auto key = signing_key_in(flags_.keys_path());
  if (!key) {
    return {refuse_with(flags_.json, "no_keys", {.reason = key.error().reason}, exit_refused), {}};
  }
  const cluster::signed_order sealed = *key ? cluster::signed_order::make(what, **key)
                                            : cluster::signed_order::make_unsigned(what);
  progress_display display(!flags_.json && steps, has_colour(stdout), canary_watch_of(what));
  ended how = deliver(sealed, cluster::text(what.id),
                      [&](const json& news) { display.show(heading(news), news); });
  const auto* to = scope_of(what);
  const bool is_for_nobody = to != nullptr && !to->is_everyone() && how.last.is_object() &&
                             how.status == exit_done && how.last["nodes"].empty();
  if (is_for_nobody) {
    complain(diagnostic{.reason = "no node matches " + to->text() +
                                  " now; nodes that come later will take it",
                        .hint = "`troupe nodes` shows their labels",
                        .level = net::log_level::warn});
  }
  return how;
}

order_sender::ended order_sender::send_signed(const cluster::signed_order& sealed) {
  const auto what = cluster::order::decode(sealed.bytes);
  return deliver(sealed, what ? cluster::text(what->id) : std::string(), [](const json&) {});
}

std::string order_sender::hint_for(const cluster::signed_order& sealed, const std::string& error,
                                   const std::string& reason) const {
  if (reason.ends_with(cluster::may_be_done_words)) {
    const auto what = cluster::order::decode(sealed.bytes);
    return what ? "`troupe push --outcome " + cluster::text(what->id) + "` says how it went" : std::string();
  }
  if (error == "no_controller" && reason.starts_with(no_controller_words)) {
    return std::string(no_controller_hint);
  }
  if (error != "denied") return {};
  if (sealed.signature.empty()) {
    return "the order is not signed, for there is no signing.key in " + flags_.keys_path() +
           "; --keys DIR or $TROUPE_KEYS names the folder that `troupe keys init` has made";
  }
  const std::string signer = sealed.signer.text();
  if (reason.find(signer) == std::string::npos) return {};
  if (reason.find("has been revoked") != std::string::npos) {
    return "a revoked key never comes back: --keys DIR names another; `troupe keys init --keys DIR` makes "
           "one, and an administrator lets it with `troupe keys trust`";
  }
  const auto what = cluster::order::decode(sealed.bytes);
  const std::string role(what ? role_for(*what) : "admin");
  std::string hint = "an administrator lets it: `troupe keys trust " + signer + " --role " + role + '`';
  // What is trusted anew has the roles that are said then, and no others.
  if (reason.find("has not the role") != std::string::npos && role != "admin") {
    hint += ", with a --role for each other one that it is to keep";
  }
  return hint + "; --keys DIR names other keys";
}

order_sender::ended order_sender::deliver(const cluster::signed_order& sealed, const std::string& id,
                                          const std::function<void(const json&)>& show) {
  const std::string bytes = sealed.encode();
  const interrupt_notice notice(id);
  json last;
  const auto take = [&](const json& news) {
    last = news;
    show(news);
    return !news["done"].get<bool>();
  };
  node_call* node = &node_;
  std::optional<node_call> again;
  for (int attempt = 1;; ++attempt) {
    const auto reply = node->try_follow("POST", "/v1/orders", bytes, take);
    if (reply && !reply->is_success()) return {node->refuse(*reply), {}};
    if (!last.is_null() && last["done"].get<bool>()) break;
    const diagnostic problem =
        reply ? diagnostic{.reason = "the node ended before the order was done"} : reply.error();
    // Sent again it is answered with its outcome, and not done twice.
    if (attempt == attempts || problem.reason.ends_with("in time")) {
      // A node that has said how it goes is not to blame for how long it takes.
      const std::string reason = last.is_null() ? problem.reason : "the order is not done in time";
      const std::string hint = "the order may go on in the cluster: `troupe push --outcome " + id +
                               "` says how it went";
      complain(diagnostic{.reason = reason, .hint = hint});
      if (flags_.json) {
        say(json{{"error", "no_answer"}, {"reason", reason}, {"hint", hint}, {"id", id}}.dump());
      }
      return {exit_no_answer, {}};
    }
    std::this_thread::sleep_for(between_attempts);
    auto other = node_call::to(flags_);
    if (!other) return {other.error(), {}};
    again.emplace(std::move(*other));
    node = &*again;
  }
  const int status = status_of(last);
  if (last.contains("error") && last["error"].is_string()) {
    const auto error = last["error"].get<std::string>();
    const auto reason = last["reason"].get<std::string>();
    const std::string hint = hint_for(sealed, error, reason);
    complain(diagnostic{.reason = reason.empty() ? error : reason, .hint = hint});
    if (!hint.empty()) last["hint"] = hint;
  }
  return {status, std::move(last)};
}

}  // namespace troupe
