// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <netdb.h>
#include <sys/stat.h>

#include <algorithm>

namespace troupe::net {
namespace {

// After so long without an answer the next server is asked, then the first again.
constexpr int ask_again_ms = 1000;

std::string failure(const std::string& name, int status) {
  const char* text = "2: Server failure";
  switch (status) {
    case ARES_EFORMERR: text = "1: Format error"; break;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME: text = "3: Host not found"; break;
    case ARES_ENOTIMP: text = "4: Unimplemented"; break;
    case ARES_EREFUSED: text = "5: Operation refused"; break;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED: text = "110: Operation timed out"; break;
    default: break;
  }
  return name + " could not be resolved (" + text + ")";
}

// Families take turns, beginning with that of the first address (RFC 8305 section 4).
std::vector<address> interleaved(const std::vector<address>& sorted) {
  std::vector<address> first, second, result;
  for (const address& a : sorted) (a.family() == sorted.front().family() ? first : second).push_back(a);
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

// The first of each family becomes its last.
void take_turns(std::vector<address>& addresses) {
  std::vector<address*> of_first, of_second;
  for (address& a : addresses) {
    (a.family() == addresses.front().family() ? of_first : of_second).push_back(&a);
  }
  for (const auto& family : {of_first, of_second}) {
    for (std::size_t i = 1; i < family.size(); ++i) std::swap(*family[i - 1], *family[i]);
  }
}

std::int64_t modification_time(const std::string& file) noexcept {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

/// A question to DNS and all who wait for its answer.
struct lookup {
  resolver* owner = nullptr;
  std::string name;
  std::vector<resolver::query*> asking;
  // The answer, told with the loop's next turn: c-ares may answer at once.
  std::vector<address> addresses;
  std::string error;
  struct telling final : timer {
    lookup* self = nullptr;
    void on_timer() noexcept override { self->tell(); }
  } telling;
  void tell() noexcept;
};

struct resolver::watched final : io_handler {
  resolver* self = nullptr;
  ares_socket_t fd = ARES_SOCKET_BAD;
  void on_io(std::uint32_t events) noexcept override {
    resolver& owner = *self;
    const ares_socket_t socket = fd;  // This may be gone after the call.
    const bool in = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    const bool out = (events & EPOLLOUT) != 0;
    ares_process_fd(owner.channel_, in ? socket : ARES_SOCKET_BAD, out ? socket : ARES_SOCKET_BAD);
    owner.set_timer();
  }
};

void resolver::query::cancel() noexcept {
  if (lookup_ == nullptr) return;
  std::erase(lookup_->asking, this);
  lookup_ = nullptr;
  limit_.self = nullptr;
}

void resolver::query::on_timeout() noexcept {
  if (lookup_ == nullptr) return;
  const std::string text = failure(lookup_->name, ARES_ETIMEOUT);
  cancel();
  on_resolved({}, text);
}

void lookup::tell() noexcept {
  resolver& from = *owner;
  // It leaves the books first: an answered caller may ask again.
  auto found = from.lookups_.find(name);
  std::unique_ptr<lookup> self;
  if (found != from.lookups_.end() && found->second.get() == this) {
    self = std::move(found->second);
    from.lookups_.erase(found);
  }
  while (!asking.empty()) {
    resolver::query* one = asking.front();
    one->cancel();
    one->on_resolved(addresses, error);
  }
}

resolver::resolver(event_loop& loop, resolver_settings settings)
    : loop_(loop), settings_(std::move(settings)) {
  next_try_.self = this;
  if (settings_.system_file.empty()) settings_.system_file = "/etc/resolv.conf";
}

resolver::~resolver() {
  for (auto& [name, one] : lookups_) {
    for (query* asking : one->asking) asking->lookup_ = nullptr;
    one->asking.clear();
  }
  if (channel_ != nullptr) ares_destroy(channel_);  // Calls on_answer for what is under way.
  for (auto& [fd, one] : sockets_) loop_.forget(fd, *one);
}

void resolver::open() {
  const std::int64_t changed_at =
      settings_.servers.empty() ? modification_time(settings_.system_file) : 0;
  if (channel_ != nullptr && changed_at != changed_at_ && lookups_.empty()) {
    ares_destroy(channel_);
    channel_ = nullptr;
    kept_.clear();
  }
  if (channel_ != nullptr) return;
  changed_at_ = changed_at;
  ares_library_init(ARES_LIB_INIT_ALL);
  ares_options options{};
  int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_RESOLVCONF;
  options.timeout = ask_again_ms;
  options.resolvconf_path = settings_.system_file.data();
  options.sock_state_cb = on_socket;
  options.sock_state_cb_data = this;
  char dns_only[] = "b";
  if (!settings_.servers.empty()) {
    // As nginx's resolver: the servers that are given, and names as they are.
    options.lookups = dns_only;
    options.ndomains = 0;
    mask |= ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_ROTATE;
  }
  if (settings_.system_port != 0) {
    options.udp_port = options.tcp_port = settings_.system_port;
    mask |= ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
  }
  // One server alone is believed when it fails; of several the next is asked.
  if (!settings_.servers.empty() && settings_.servers.find(',') == std::string::npos) {
    options.flags = ARES_FLAG_NOCHECKRESP;
    mask |= ARES_OPT_FLAGS;
  }
  if (ares_init_options(&channel_, &options, mask) != ARES_SUCCESS) {
    channel_ = nullptr;
    return;
  }
  if (!settings_.servers.empty()) ares_set_servers_ports_csv(channel_, settings_.servers.c_str());
}

std::span<const address> resolver::known(const std::string& name) {
  const auto found = kept_.find(name);
  if (found == kept_.end()) return {};
  if (loop_.clock().monotonic_ms() >= found->second.until_ms) {
    kept_.erase(found);
    return {};
  }
  if (found->second.addresses.size() > 1) take_turns(found->second.addresses);
  return found->second.addresses;
}

void resolver::start(const std::string& name, query& asking, std::int64_t timeout_ms) {
  asking.cancel();
  open();
  auto& one = lookups_[name];
  const bool is_new = !one;
  if (is_new) {
    one = std::make_unique<lookup>();
    one->owner = this;
    one->name = name;
    one->telling.self = one.get();
  }
  one->asking.push_back(&asking);
  asking.lookup_ = one.get();
  asking.limit_.self = &asking;
  if (timeout_ms > 0) loop_.timers().arm(asking.limit_, timeout_ms);
  if (!is_new) return;
  if (channel_ == nullptr) {
    one->error = "failed to start the resolver";
    loop_.timers().arm(one->telling, 0);
    return;
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = settings_.ipv4 && settings_.ipv6 ? AF_UNSPEC : settings_.ipv6 ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, on_answer, one.get());
  set_timer();
}

void resolver::on_answer(void* asked, int status, int, ares_addrinfo* result) {
  lookup& one = *static_cast<lookup*>(asked);
  resolver& self = *one.owner;
  if (status == ARES_EDESTRUCTION) return;
  int ttl = -1;
  if (status == ARES_SUCCESS && result != nullptr) {
    std::vector<address> sorted;
    for (const ares_addrinfo_node* node = result->nodes; node != nullptr; node = node->ai_next) {
      sorted.push_back(address::from(node->ai_addr, static_cast<socklen_t>(node->ai_addrlen)));
      ttl = ttl < 0 ? node->ai_ttl : std::min(ttl, node->ai_ttl);
    }
    if (!sorted.empty()) one.addresses = interleaved(sorted);
  }
  if (result != nullptr) ares_freeaddrinfo(result);
  if (one.addresses.empty()) {
    one.error = failure(one.name, status == ARES_SUCCESS ? ARES_ENODATA : status);
  } else {
    self.keep(one.name, one.addresses, ttl);
  }
  self.loop_.timers().arm(one.telling, 0);
}

void resolver::keep(const std::string& name, std::vector<address> addresses, int ttl) {
  const std::int64_t ms = settings_.valid_ms >= 0 ? settings_.valid_ms : std::int64_t{ttl} * 1000;
  if (ms <= 0) return;
  const std::int64_t now = loop_.clock().monotonic_ms();
  if (kept_.size() >= most_kept) {
    std::erase_if(kept_, [&](const auto& entry) { return entry.second.until_ms <= now; });
    if (kept_.size() >= most_kept) kept_.erase(kept_.begin());
  }
  kept_[name] = {std::move(addresses), now + ms};
}

void resolver::on_socket(void* self_pointer, ares_socket_t fd, int readable, int writable) {
  auto& self = *static_cast<resolver*>(self_pointer);
  auto& one = self.sockets_[fd];
  if (readable == 0 && writable == 0) {
    if (one) self.loop_.forget(fd, *one);
    self.sockets_.erase(fd);
    return;
  }
  const std::uint32_t events = (readable != 0 ? EPOLLIN : 0U) | (writable != 0 ? EPOLLOUT : 0U);
  if (one) {
    self.loop_.modify(fd, *one, events);
    return;
  }
  one = std::make_unique<watched>();
  one->self = &self;
  one->fd = fd;
  self.loop_.watch(fd, *one, events);
}

void resolver::set_timer() noexcept {
  timeval limit{};
  if (const timeval* left = ares_timeout(channel_, nullptr, &limit)) {
    loop_.timers().arm(next_try_, left->tv_sec * 1000 + left->tv_usec / 1000 + 1);
  } else {
    loop_.timers().cancel(next_try_);
  }
}

void resolver::next_try::on_timer() noexcept {
  ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  self->set_timer();
}

resolver& resolvers::get(const resolver_settings& settings) {
  const std::string key = settings.servers + " " + std::to_string(settings.valid_ms) +
                          (settings.ipv4 ? "4" : "") + (settings.ipv6 ? "6" : "");
  auto& one = all_[key];
  if (!one) one = std::make_unique<resolver>(loop_, settings);
  return *one;
}

}  // namespace troupe::net
