// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_log.hpp"

#include "cluster/etcd_writer.hpp"
#include "cluster/memory_log.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>

namespace troupe::cluster {
namespace {

refusal unsupported() {
  return {refusal_errc::unsupported, "the log in etcd is its leader's; a follower has its own", {}};
}

}  // namespace

struct etcd_log::impl {
  explicit impl(options given)
      : how(std::move(given)), etcd(how.store, how.fence, how.valid_until) {}

  /// What the thread is to do, and what came of it.
  struct job {
    enum class what : std::uint8_t { load, append, snapshot, begin };
    what kind = what::load;
    position before = {};
    change next = {};
    position at = {};
    std::uint64_t cut = 0;
    std::string bytes = {};
    std::vector<change> since = {};
    appended done = {};
    etcd_writer::content content = {};
    tl::expected<void, refusal> result = {};
  };

  options how;
  memory_log copy;
  position tail;  ///< Where the log stands after what is on its way.
  bool is_broken = false;
  std::optional<tl::expected<void, refusal>> loaded;
  std::uint64_t cut = 0;
  std::optional<std::uint64_t> snapshot_seq;

  etcd_writer etcd;  ///< The thread's.
  std::mutex mutex;
  std::condition_variable more;
  bool stopping = false;
  std::deque<job> wanted;
  std::deque<job> finished;
  std::thread thread;

  void run();
  void work(job& what);
  void want(job what);
  [[nodiscard]] tl::expected<void, refusal> keep(etcd_writer::content found);
};

void etcd_log::impl::run() {
  pthread_setname_np(pthread_self(), "etcd log");
  std::unique_lock lock(mutex);
  while (true) {
    more.wait(lock, [this] { return stopping || !wanted.empty(); });
    if (stopping) return;
    job next = std::move(wanted.front());
    wanted.pop_front();
    lock.unlock();
    work(next);
    lock.lock();
    finished.push_back(std::move(next));
    lock.unlock();
    if (how.wake) how.wake();
    lock.lock();
  }
}

void etcd_log::impl::work(job& what) {
  switch (what.kind) {
    case job::what::load: {
      auto found = etcd.load();
      if (found) {
        what.content = *std::move(found);
      } else {
        what.result = tl::unexpected(std::move(found.error()));
      }
      return;
    }
    case job::what::append:
      what.result = etcd.append(what.before, what.next);
      return;
    case job::what::snapshot:
      what.result = etcd.keep_snapshot(what.at, what.cut, what.bytes);
      return;
    case job::what::begin:
      what.result = etcd.begin(what.at, what.bytes, what.since);
      return;
  }
}

void etcd_log::impl::want(job what) {
  {
    const std::lock_guard lock(mutex);
    wanted.push_back(std::move(what));
  }
  more.notify_one();
}

tl::expected<void, refusal> etcd_log::impl::keep(etcd_writer::content found) {
  // Changes from before the snapshot are kept for who is only a little behind.
  position begin = found.snapshot_at;
  if (!found.changes.empty()) {
    begin = position{0, found.cut, found.changes.front().parent};
  }
  if (auto done = copy.replace(begin, {}, found.changes, {}); !done) return done;
  cut = begin.seq;
  if (found.snapshot) {
    if (auto done = copy.keep_snapshot(found.snapshot_at, *found.snapshot); !done) return done;
    snapshot_seq = found.snapshot_at.seq;
  }
  tail = copy.head();
  return {};
}

etcd_log::etcd_log(options how) : impl_(std::make_unique<impl>(std::move(how))) {
  impl_->want({});
  impl_->thread = std::thread([data = impl_.get()] { data->run(); });
}

etcd_log::~etcd_log() {
  impl_->etcd.stop();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->more.notify_one();
  impl_->thread.join();
}

const std::optional<tl::expected<void, refusal>>& etcd_log::loaded() const noexcept {
  return impl_->loaded;
}

void etcd_log::begin_with(const position& at, std::string bytes, std::vector<change> since,
                          appended done) {
  impl::job next;
  next.kind = impl::job::what::begin;
  next.at = at;
  next.bytes = std::move(bytes);
  next.since = std::move(since);
  next.done = std::move(done);
  impl_->tail = next.since.empty() ? at : next.since.back().after();
  impl_->want(std::move(next));
}

position etcd_log::head() const {
  return impl_->copy.head();
}

std::uint64_t etcd_log::begins_after() const {
  return impl_->copy.begins_after();
}

void etcd_log::append(const change& next, appended done) {
  impl& data = *impl_;
  if (!data.loaded || !*data.loaded || data.is_broken ||
      std::chrono::steady_clock::now() >= data.how.valid_until()) {
    return done(tl::unexpected(
        refusal{refusal_errc::not_leader,
                "this controller has not reached etcd for as long as its lease lasts",
                {}}));
  }
  if (next.seq != data.tail.seq + 1 || next.parent != data.tail.state) {
    return done(tl::unexpected(refusal{refusal_errc::conflict,
                                       "change " + std::to_string(next.seq) +
                                           " does not follow the log's last, " +
                                           std::to_string(data.tail.seq),
                                       {}}));
  }
  impl::job what;
  what.kind = impl::job::what::append;
  what.before = data.tail;
  what.next = next;
  what.done = std::move(done);
  data.tail = next.after();
  data.want(std::move(what));
}

void etcd_log::poll() {
  impl& data = *impl_;
  std::deque<impl::job> finished;
  {
    const std::lock_guard lock(data.mutex);
    finished.swap(data.finished);
  }
  for (impl::job& one : finished) {
    switch (one.kind) {
      case impl::job::what::load:
        if (one.result) one.result = data.keep(std::move(one.content));
        data.loaded = one.result;
        break;
      case impl::job::what::append:
        if (one.result) one.result = data.copy.append_all({one.next});
        break;
      case impl::job::what::begin:
        if (one.result) one.result = data.copy.replace(one.at, one.bytes, one.since, {});
        if (one.result) data.cut = one.at.seq;
        if (one.result && !one.bytes.empty()) data.snapshot_seq = one.at.seq;
        break;
      case impl::job::what::snapshot:
        if (!one.result && data.how.log) {
          data.how.log(log_level::warn,
                       "cluster: the log in etcd was not cut: " + one.result.error().reason);
        }
        break;
    }
    if (!one.result && one.kind != impl::job::what::snapshot) {
      // What was refused is not in the log, and what was to follow it will be refused too.
      if (one.result.error().errc == refusal_errc::not_leader) data.is_broken = true;
      data.tail = data.copy.head();
    }
    if (one.done) one.done(one.result);
  }
}

tl::expected<void, refusal> etcd_log::append_all(const std::vector<change>&) {
  return tl::unexpected(unsupported());
}

tl::expected<std::vector<change>, refusal> etcd_log::read(std::uint64_t after_seq,
                                                          std::size_t max_bytes) const {
  return impl_->copy.read(after_seq, max_bytes);
}

tl::expected<std::optional<std::string>, refusal> etcd_log::snapshot() const {
  return impl_->copy.snapshot();
}

tl::expected<void, refusal> etcd_log::keep_snapshot(const position& at, std::string_view bytes) {
  impl& data = *impl_;
  if (auto done = data.copy.keep_snapshot(at, bytes); !done) return done;
  if (data.snapshot_seq && *data.snapshot_seq > data.cut) data.cut = *data.snapshot_seq;
  data.snapshot_seq = at.seq;
  impl::job what;
  what.kind = impl::job::what::snapshot;
  what.at = at;
  what.cut = data.cut;
  what.bytes = std::string(bytes);
  data.want(std::move(what));
  return {};
}

tl::expected<void, refusal> etcd_log::replace(const position&, std::string_view,
                                              const std::vector<change>&,
                                              const std::vector<change>&) {
  return tl::unexpected(unsupported());
}

tl::expected<std::vector<change>, refusal> etcd_log::aside() const {
  return std::vector<change>();
}

}  // namespace troupe::cluster
