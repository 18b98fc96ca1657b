// SPDX-License-Identifier: Apache-2.0
#include "runtime/listeners.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "runtime/system_hint.hpp"

namespace troupe {
namespace {

std::string file_of(const net::address& where) {
  return where.is_unix() ? where.host().substr(5) : std::string();
}

diagnostic bind_failed(const actors::listen_options& listen, std::error_code error, bool is_ours) {
  std::string hint;
  if (error == std::errc::address_in_use) {
    hint = is_ours ? "this node listens on that port already, with another address"
                   : "another program listens there; `--port N` moves this one";
  } else if (error == std::errc::too_many_files_open) {
    hint = system_hint(error.value());
  }
  return {listen.file, static_cast<unsigned>(listen.line),
          "bind() to " + listen.where.text() + " failed (" + std::to_string(error.value()) + ": " +
              error.message() + ")",
          std::move(hint)};
}

void take_inherited(std::vector<inherited_socket>& inherited, const actors::listen_options& listen,
                    std::size_t group, unsigned shards, std::vector<bound_socket>& into) {
  const std::string name = listen.identity.text();
  unsigned taken = 0;
  for (inherited_socket& each : inherited) {
    if (each.address != name || !each.fd) continue;
    const int on = 1;
    // One that was alone has not said so; the kernel forms the group when the next one listens.
    if (shards > 1 && !listen.where.is_unix()) {
      ::setsockopt(each.fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    ::listen(each.fd.get(), listen.backlog);  // As this configuration has it.
    into.emplace_back(group, taken++ % shards, std::move(each.fd), std::string());
  }
}

}  // namespace

bound_socket::bound_socket(bound_socket&& other) noexcept
    : group(other.group),
      shard(other.shard),
      fd(std::move(other.fd)),
      file(std::exchange(other.file, {})) {}

bound_socket::~bound_socket() {
  if (!file.empty()) ::unlink(file.c_str());
}

net::unique_fd bound_socket::take() noexcept {
  file.clear();
  return std::move(fd);
}

tl::expected<std::vector<bound_socket>, diagnostics> bind_new(
    const actors::site& site, const std::vector<net::address>& bound, unsigned shards,
    std::vector<inherited_socket>& inherited) {
  std::vector<bound_socket> sockets;
  diagnostics problems;
  for (std::size_t group = 0; group < site.listens.size(); ++group) {
    const actors::listen_options& listen = site.listens[group].options;
    if (std::find(bound.begin(), bound.end(), listen.identity) != bound.end()) continue;
    auto report = [&](std::error_code error) {
      const bool is_ours = std::any_of(bound.begin(), bound.end(), [&](const net::address& other) {
        return !other.is_unix() && !listen.where.is_unix() && other.port() == listen.where.port();
      });
      problems.push_back(bind_failed(listen, error, is_ours));
    };
    net::socket_options how{.backlog = listen.backlog, .reuseport = shards > 1};
    net::address where = listen.where;
    const std::size_t begin = sockets.size();
    take_inherited(inherited, listen, group, shards, sockets);
    const auto had = static_cast<unsigned>(sockets.size() - begin);
    if (had > 0) where = net::local_address(sockets.back().fd.get());
    if (how.reuseport && !where.is_unix() && had == 0) {
      // With SO_REUSEPORT the kernel would let us share the port with a stranger of the same user.
      how.reuseport = false;
      auto probe = net::listen_on(where, how);
      if (!probe) {
        report(probe.error());
        continue;
      }
      where = net::local_address(probe->get());  // Of port 0 too.
      how.reuseport = true;
    }
    for (unsigned shard = had; shard < shards; ++shard) {
      if (where.is_unix() && shard > 0) break;  // One queue; the first shard accepts.
      auto socket = net::listen_on(where, how);
      if (!socket) {
        report(socket.error());
        break;
      }
      sockets.emplace_back(group, shard, std::move(*socket), file_of(where));
    }
  }
  if (!problems.empty()) return tl::unexpected(std::move(problems));
  return sockets;
}

void shard_listeners::change(actors::shard& home, const actors::site& site,
                             std::vector<bound_socket>& sockets, const net::log_context& log) {
  std::erase_if(all_, [&](one& listener) {
    actors::connection_origin& origin = *listener.origin;
    for (std::size_t group = 0; group < site.listens.size(); ++group) {
      if (site.listens[group].options.identity == origin.configured) {
        origin.group = group;
        return false;
      }
    }
    origin.is_closed = true;
    if (origin.where.is_unix()) ::unlink(file_of(origin.where).c_str());
    return true;
  });
  for (bound_socket& socket : sockets) {
    if (socket.shard != home.index()) continue;
    const actors::listen_options& listen = site.listens[socket.group].options;
    auto origin = std::make_shared<actors::connection_origin>();
    origin->group = socket.group;
    origin->configured = listen.identity;
    origin->listener = listen.where.text();
    net::unique_fd fd = socket.take();
    origin->where = net::local_address(fd.get());
    origin->server_addr = origin->where.host();
    origin->server_port = origin->where.port();
    auto accepted = [&home, origin](net::unique_fd client, const net::address& peer) {
      actors::connection::accept(home, std::move(client), peer, origin);
    };
    one made;
    made.origin = origin;
    made.socket =
        std::make_unique<net::listener>(home.loop(), std::move(fd), std::move(accepted), log);
    made.socket->start();
    all_.push_back(std::move(made));
  }
}

std::vector<inherited_socket> shard_listeners::copies() const {
  std::vector<inherited_socket> copies;
  for (const one& listener : all_) {
    net::unique_fd copy(::fcntl(listener.socket->descriptor(), F_DUPFD_CLOEXEC, 3));
    if (copy) copies.push_back({listener.origin->configured.text(), std::move(copy)});
  }
  return copies;
}

std::vector<shard_listeners::info> shard_listeners::list(const actors::site& site) const {
  std::vector<info> listed;
  for (std::size_t group = 0; group < site.listens.size(); ++group) {
    for (const one& listener : all_) {
      if (listener.origin->group != group) continue;
      listed.push_back({{listener.origin->where.text(), "http"}, listener.origin->configured});
      break;
    }
  }
  return listed;
}

}  // namespace troupe
