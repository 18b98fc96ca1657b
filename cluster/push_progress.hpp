// SPDX-License-Identifier: Apache-2.0
//
// How one order goes: whom it waits for, who has answered what, and what follows from that. A
// release or rollback has two steps (and a canary between them), everything else one.
//
// It decides nothing by itself twice: decide() says what to do next, and is told when that was
// done.
//
// A value waits for nobody who is far later than the others (ack_pace): such a node is reported as
// behind, and the value as applied.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Called   by cluster/controller.
#pragma once

#include "cluster/ack_pace.hpp"
#include "cluster/canary_gate.hpp"
#include "cluster/membership.hpp"
#include "cluster/order.hpp"

#include <memory>
#include <optional>

namespace troupe::cluster {

class push_progress {
 public:
  /// @param is_two_step  else it is done when all have acknowledged `applied`.
  push_progress(const order& what, const change& in, bool is_two_step, selector to,
                push_policy policy, const membership& members, ack_pace& pace, instant now);

  enum class step { preparing, canary, watching, activating, applying, aborting, done };
  enum class verdict { wait, activate_canary, activate_all, abort, done };
  struct decision {
    verdict what = verdict::wait;
    std::string reason;  ///< Of an abort.
    selector to;         ///< Of an activation.
  };
  /// What to do next. Asked after whatever may have changed it; `wait` while something that was
  /// decided is being done.
  [[nodiscard]] decision decide(const membership& members, instant now);

  /// The activation or abort that was decided is in the log and announced.
  void activated(const change& by, const selector& to, const membership& members, instant now);
  void aborted(std::string reason);

  /// @return whether it changed anything.
  bool acknowledge(const acknowledgement& ack, instant now);
  /// A node has said how it does.
  void heard(const node_report& report, instant now);

  /// Nodes that have not answered the present change, when it is time to repeat it to them.
  [[nodiscard]] std::vector<std::string> to_repeat(instant now);
  [[nodiscard]] const change& present() const noexcept { return present_; }
  /// Where who has acknowledged the present change is, at least.
  [[nodiscard]] const position& reached() const noexcept { return reached_; }
  [[nodiscard]] instant next_tick() const;

  [[nodiscard]] step at() const noexcept { return step_; }
  [[nodiscard]] const std::string& app() const noexcept { return app_; }
  [[nodiscard]] std::uint32_t release() const noexcept { return release_; }
  [[nodiscard]] const order_id& id() const noexcept { return id_; }
  [[nodiscard]] bool is_two_step() const noexcept { return is_two_step_; }
  /// For who ordered it.
  [[nodiscard]] progress report(const membership& members, instant now) const;

 private:
  struct node {
    node_outcome state = node_outcome::waiting;
    bool is_due = true;  ///< It has the present change to answer.
    double prepared_ms = 0;
    double active_ms = 0;
    std::string reason;
  };
  struct counts {
    std::size_t live = 0;
    std::size_t ready = 0;  ///< Live, as the others.
    std::size_t active = 0;
    std::size_t refused = 0;
    std::size_t due = 0;  ///< Live ones that have not answered the present change.
  };
  /// Whether a live node has not answered the present change. Looks at each node about once, not
  /// once for each acknowledgement.
  [[nodiscard]] bool is_open(const std::string& name, const node& one, const membership& members,
                             instant now) const;
  [[nodiscard]] bool waits_for_somebody(const membership& members, instant now);
  /// Of a value: whether all that have not answered are later than they can be if they are well.
  [[nodiscard]] bool leaves_rest_behind(const membership& members, instant now);
  [[nodiscard]] counts count(const membership& members, instant now) const;
  [[nodiscard]] decision decide_prepare(const membership& members, instant now);
  [[nodiscard]] decision decide_canary(const membership& members, instant now);
  [[nodiscard]] selector canaries(const membership& members, instant now) const;
  [[nodiscard]] std::string first_refusal() const;
  void begin(const change& what, instant now);
  void one_ready_less(instant now);
  [[nodiscard]] std::chrono::milliseconds before_repeat() const;
  [[nodiscard]] double ms_since_begin(instant now) const;

  order_id id_;
  std::string app_;
  std::uint32_t release_ = 0;
  bool is_two_step_;
  bool is_value_;
  selector to_;
  push_policy policy_;
  digest manifest_;
  step step_;
  bool is_decided_ = false;  ///< What decide() said last is being done.
  change present_;
  position reached_;
  std::map<std::string, node> nodes_;
  std::vector<std::string> absent_;  ///< Those that it is for and that nobody waits for.
  ack_pace& pace_;
  std::size_t due_ = 0;       ///< Nodes that have the present change to answer.
  std::size_t answered_ = 0;  ///< Acknowledgements of it.
  std::size_t ready_left_ = 0;  ///< Nodes that were ready when it was activated and are not active yet.
  instant progress_at_;       ///< The last one of these.
  instant pause_began_;       ///< The last one before those that came with it.
  instant look_again_ = instant::max();  ///< Whether the rest is late.
  std::string waited_for_;  ///< A node that was live and had not answered; empty: look for one.
  instant begun_;
  instant step_ends_;
  instant repeat_at_;
  instant repeat_by_;  ///< At the latest, whoever answers.
  bool has_repeated_ = false;
  std::chrono::milliseconds repeat_after_{};
  std::optional<canary_gate> gate_;
  std::string abort_reason_;
  bool is_aborted_ = false;
  std::string abort_error_ = "aborted";  ///< As JSON calls it.
  bool has_canaries_ = false;
  bool has_refusal_ = false;
};

}  // namespace troupe::cluster
