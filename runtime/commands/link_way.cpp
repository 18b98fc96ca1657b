// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/link_way.hpp"

#include "cluster/compression.hpp"
#include "cluster/upper_socket.hpp"
#include "cluster/zmq_loop.hpp"
#include "runtime/commands/link_keys.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

namespace troupe {
namespace {

using namespace std::chrono_literals;
using cluster::message;
using cluster::refusal;
using cluster::refusal_errc;
using clock = std::chrono::steady_clock;

constexpr auto patience = 10s;
/// Of an order, for its first news: a node that takes over looks for the others before it has any.
constexpr auto order_patience = 30s;
constexpr std::uint64_t max_snapshot_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t max_content_bytes = std::uint64_t{1} << 30;

class link_way final : public cluster_way {
 public:
  link_way(link_keys keys, std::optional<clock::time_point> deadline)
      : keys_(std::move(keys)), deadline_(deadline) {}

  ~link_way() override {
    if (loop_) loop_->stop();
    socket_.reset();
    loop_.reset();
  }

  tl::expected<void, diagnostic> open(const cluster::link_address& to) {
    auto context = cluster::zmq_context::make();
    if (!context) return tl::unexpected(diagnostic{.reason = context.error().reason});
    context_ = std::move(*context);
    auto loop = cluster::zmq_loop::make();
    if (!loop) return tl::unexpected(diagnostic{.reason = loop.error().reason});
    loop_ = std::move(*loop);
    socket_.emplace(*context_,
                    cluster::upper_socket::options{
                        .node = {},
                        .keys = keys_.tools,
                        .log = [this](auto, std::string_view line) { note(line); }},
                    cluster::upper_socket::handlers{
                        .on_link = [this](bool up, auto) { on_link(up); },
                        .on_announced = [](auto, auto, auto) {},
                        .on_message = [this](message what, auto) { take(std::move(what)); },
                        .on_gap = [](auto, auto) {}});
    socket_->addresses({{to, keys_.server}}, clock::now());
    loop_->add(*socket_);
    loop_->run();
    std::unique_lock lock(mutex_);
    news_.wait_until(lock, until(), [this] { return is_up_ || is_denied_; });
    if (is_up_) return {};
    diagnostic why{.reason = "no node answers at " + to.text()};
    if (!problem_.empty() && problem_ != "no link to " + to.text()) why.reason += ": " + problem_;
    if (is_denied_) {
      why.reason = problem_ + ", the one of the operator's tools";
      why.hint = "--keys DIR names the keys of its cluster";
    }
    return tl::unexpected(std::move(why));
  }

  tl::expected<std::vector<cluster::digest>, refusal> missing(
      std::vector<cluster::digest> names, std::chrono::milliseconds) override {
    auto answer = ask<cluster::missing_answer>(cluster::missing_blobs{.ask = 0, .names = std::move(names)});
    if (!answer) return tl::unexpected(answer.error());
    return std::move(answer->names);
  }

  tl::expected<void, refusal> put(const cluster::digest& name, std::string content,
                                  std::chrono::milliseconds) override {
    const std::string frame = cluster::compress(content);
    for (std::size_t offset = 0; offset == 0 || offset < frame.size();
         offset += cluster::blob_piece_bytes) {
      const auto answer = ask<cluster::put_answer>(
          cluster::put_blob{.ask = 0,
                            .name = name,
                            .offset = offset,
                            .total = frame.size(),
                            .bytes = frame.substr(offset, cluster::blob_piece_bytes)});
      if (!answer) return tl::unexpected(answer.error());
      if (!answer->problem.empty()) {
        return tl::unexpected(refusal{refusal_errc::conflict, answer->problem, {}});
      }
    }
    return {};
  }

  void submit(const cluster::signed_order& what, const on_progress& on,
              std::chrono::milliseconds) override {
    const std::uint64_t ask = begin(cluster::submit{.ask = 0, .what = what});
    const auto begun = clock::now();
    bool is_taken = false;
    for (;;) {
      const auto next = wait(ask, clock::now() + 1s);
      if (next) is_taken = true;
      if (!next) {
        if (deadline_ && clock::now() > *deadline_) break;
        if (!is_taken && clock::now() > begun + order_patience) {
          cluster::progress no;
          if (const auto decoded = cluster::order::decode(what.bytes)) no.id = decoded->id;
          no.done = true;
          no.error = "no_answer";
          no.reason = "the node gave no answer in time; " + std::string(cluster::may_be_done_words);
          on(&no);
          break;
        }
        if (!on(nullptr)) break;
        continue;
      }
      if (const auto* no = std::get_if<cluster::refused>(&*next)) {
        cluster::progress last;
        last.done = true;
        last.error = no->error;
        last.reason = no->reason;
        last.state = "aborted";
        on(&last);
        break;
      }
      const auto* news = std::get_if<cluster::progress>(&*next);
      if (news == nullptr) continue;
      if (!on(news) || news->done) break;
    }
    end(ask);
  }

  // A tool has no history: it takes the snapshot, and what came after it.
  tl::expected<std::shared_ptr<const cluster::cluster_state>, refusal> state() override {
    cluster::cluster_state now = known_ ? *known_ : cluster::cluster_state(keys_.root);
    for (;;) {
      auto answer = ask<cluster::changes>(cluster::fetch_changes{.ask = 0, .after = now.at()});
      if (!answer) return tl::unexpected(answer.error());
      if (answer->need_snapshot) {
        auto whole = snapshot();
        if (!whole) return tl::unexpected(whole.error());
        now = std::move(*whole);
        continue;
      }
      for (const cluster::change& each : answer->list) {
        if (auto done = now.apply(each); !done) return tl::unexpected(done.error());
      }
      if (answer->list.empty() || now.at() == answer->head) break;
    }
    known_ = std::make_shared<const cluster::cluster_state>(std::move(now));
    return known_;
  }

  tl::expected<cluster::query_answer, refusal> query(const std::string& what,
                                                              std::chrono::milliseconds) override {
    return ask<cluster::query_answer>(cluster::query{.ask = 0, .what = what});
  }

  tl::expected<std::string, refusal> content(const cluster::digest& name) override {
    std::string frame;
    for (;;) {
      auto piece = ask<cluster::blob_piece>(
          cluster::fetch_blob{.ask = 0, .name = name, .offset = frame.size()});
      if (!piece) return tl::unexpected(piece.error());
      if (piece->gone) {
        return tl::unexpected(refusal{refusal_errc::missing, "the content is gone", {}});
      }
      if (piece->offset != frame.size() || piece->total > max_content_bytes || piece->bytes.empty()) {
        return tl::unexpected(refusal{refusal_errc::malformed, "a piece of another content", {}});
      }
      frame += piece->bytes;
      if (frame.size() < piece->total) continue;
      auto whole = cluster::decompress(frame, max_content_bytes);
      if (whole && cluster::digest::of(*whole) != name) {
        return tl::unexpected(refusal{refusal_errc::damaged, "not the content of its name", {}});
      }
      return whole;
    }
  }

 private:
  [[nodiscard]] clock::time_point until() const {
    const auto most = clock::now() + patience;
    return deadline_ ? std::min(*deadline_, most) : most;
  }

  tl::expected<cluster::cluster_state, refusal> snapshot() {
    std::string frame;
    cluster::digest of;
    for (;;) {
      auto piece = ask<cluster::snapshot_piece>(
          cluster::fetch_snapshot{.ask = 0, .offset = frame.size(), .of = of});
      if (!piece) return tl::unexpected(piece.error());
      if (piece->offset != frame.size() || piece->total > max_snapshot_bytes || piece->bytes.empty()) {
        return tl::unexpected(refusal{refusal_errc::malformed, "a piece of another snapshot", {}});
      }
      of = piece->of;
      frame += piece->bytes;
      if (frame.size() < piece->total) continue;
      const auto whole = cluster::decompress(frame, max_snapshot_bytes);
      if (!whole) return tl::unexpected(whole.error());
      return cluster::cluster_state::decode(*whole, keys_.root);
    }
  }

  void on_link(bool up) {
    const std::lock_guard lock(mutex_);
    is_up_ = up;
    news_.notify_all();
  }

  void note(std::string_view problem) {
    const std::lock_guard lock(mutex_);
    problem_ = problem;
    is_denied_ = problem.ends_with(cluster::upper_socket::denied_words);
    news_.notify_all();
  }

  void take(message what) {
    const std::uint64_t ask = std::visit(
        [](const auto& each) -> std::uint64_t {
          if constexpr (requires { each.ask; }) return each.ask;
          return 0;
        },
        what);
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(ask);
    if (found == waiting_.end()) return;
    found->second.push_back(std::move(what));
    news_.notify_all();
  }

  template <typename Request>
  std::uint64_t begin(Request request) {
    {
      const std::lock_guard lock(mutex_);
      request.ask = ++last_ask_;
      waiting_[request.ask];
    }
    const std::uint64_t ask = request.ask;
    loop_->post([this, request = std::move(request)]() mutable { socket_->send(std::move(request)); });
    return ask;
  }

  std::optional<message> wait(std::uint64_t ask, clock::time_point most) {
    std::unique_lock lock(mutex_);
    auto& queue = waiting_[ask];
    if (!news_.wait_until(lock, most, [&] { return !queue.empty(); })) return std::nullopt;
    message what = std::move(queue.front());
    queue.pop_front();
    return what;
  }

  void end(std::uint64_t ask) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(ask);
  }

  template <typename Answer, typename Request>
  tl::expected<Answer, refusal> ask(Request request) {
    const std::uint64_t number = begin(std::move(request));
    auto answer = wait(number, until());
    end(number);
    if (!answer) {
      return tl::unexpected(refusal{refusal_errc::io, "the node gave no answer in time", {}});
    }
    if (auto* right = std::get_if<Answer>(&*answer)) return std::move(*right);
    if (const auto* no = std::get_if<cluster::refused>(&*answer)) {
      const auto errc = no->error == "denied"          ? refusal_errc::denied
                        : no->error == "no_controller" ? refusal_errc::not_leader
                                                       : refusal_errc::io;
      return tl::unexpected(refusal{errc, no->reason, {}});
    }
    return tl::unexpected(refusal{refusal_errc::unsupported, "an answer of another kind", {}});
  }

  link_keys keys_;
  std::optional<clock::time_point> deadline_;
  std::unique_ptr<cluster::zmq_context> context_;
  std::unique_ptr<cluster::zmq_loop> loop_;
  std::optional<cluster::upper_socket> socket_;
  std::shared_ptr<const cluster::cluster_state> known_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool is_up_ = false;
  bool is_denied_ = false;
  std::string problem_;  ///< Why it is not up.
  std::uint64_t last_ask_ = 0;
  std::map<std::uint64_t, std::deque<message>> waiting_;
};

}  // namespace

tl::expected<std::unique_ptr<cluster_way>, diagnostic> open_link(
    const std::string& address, const std::string& key_folder,
    std::optional<clock::time_point> deadline) {
  const auto to = cluster::link_address::parse(address);
  if (!to) return tl::unexpected(diagnostic{.reason = to.error().reason});
  auto keys = link_keys::load(key_folder, to->text());
  if (!keys) return tl::unexpected(keys.error());
  auto made = std::make_unique<link_way>(std::move(*keys), deadline);
  if (auto opened = made->open(*to); !opened) return tl::unexpected(opened.error());
  return made;
}

}  // namespace troupe
