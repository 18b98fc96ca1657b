// SPDX-License-Identifier: Apache-2.0
#include "cluster/zap.hpp"

#include "cluster/link_address.hpp"

#include <zmq.h>

#include <utility>

namespace troupe::cluster {

namespace {

// The frames of a request after REP has taken the envelope off.
enum frame : std::size_t { version, request_id, domain, address, identity, mechanism, credentials };

}  // namespace

std::string_view name_of(link_role role) noexcept {
  switch (role) {
    case link_role::member:
      return "member";
    case link_role::tools:
      return "tools";
    case link_role::token:
      return "token";
    case link_role::none:
      break;
  }
  return "none";
}

zap::zap(zmq_socket socket, options how)
    : socket_(std::move(socket)), how_(how), log_(how.log, log_level::warn) {}

tl::expected<std::unique_ptr<zap>, refusal> zap::bind(const zmq_context& context, options how) {
  auto socket = zmq_socket::open(context, ZMQ_REP);
  if (!socket) return tl::unexpected(socket.error());
  if (auto done = socket->bind("inproc://zeromq.zap.01"); !done)
    return tl::unexpected(done.error());
  return std::unique_ptr<zap>(new zap(std::move(*socket), std::move(how)));
}

link_role zap::role_of(std::string_view key) const {
  if (!how_.has_keys) return link_role::member;
  const auto found = allowed_.find(key);
  return found == allowed_.end() ? link_role::none : found->second;
}

zap::verdict zap::judge(const std::vector<std::string>& request) const {
  if (request.size() <= mechanism || request[version] != "1.0") return {.why = "malformed request"};
  const std::string& peer = request[address];
  if (!how_.has_keys) {
    if (request[mechanism] != "NULL") return {.why = "this cluster has no keys"};
    if (!link_address{.host = peer}.is_loopback() && peer.rfind("::ffff:127.", 0) != 0) {
      return {.why = "a cluster without keys takes links from loopback only"};
    }
    return {.allowed = true, .user = "loopback"};
  }
  if (request[mechanism] != "CURVE" || request.size() <= credentials ||
      request[credentials].size() != 32) {
    return {.why = "no CURVE key"};
  }
  char key[41] = {};
  zmq_z85_encode(key, reinterpret_cast<const std::uint8_t*>(request[credentials].data()), 32);
  const link_role role = role_of(key);
  if (role == link_role::none) return {.why = std::string("key ") + key + " is not allowed"};
  if (request[domain] == announcements_domain && role != link_role::member) {
    return {.why = std::string("key ") + key + " (" + std::string(name_of(role)) +
                   ") is not a node's: no announcements"};
  }
  return {.allowed = true, .user = key};
}

void zap::pump(instant now) {
  while (auto request = socket_.receive()) {
    const verdict result = judge(request->frames);
    if (result.allowed) {
      ++let_in_;
    } else {
      ++denied_;
      const std::string from =
          request->frames.size() > address ? printable(request->frames[address]) : "somebody";
      log_.line("link from " + from + " denied: " + result.why, now);
    }
    const std::string id = request->frames.size() > request_id ? request->frames[request_id] : "";
    (void)socket_.send_all({"1.0", id, result.allowed ? "200" : "400",
                            result.allowed ? "OK" : "denied", result.user, std::string()});
  }
}

}  // namespace troupe::cluster
