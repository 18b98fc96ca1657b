// SPDX-License-Identifier: Apache-2.0
//
// ngx.socket.tcp and ngx.req.socket: Lua's side of lua/tcp_socket. socket_tcp.lua checks arguments.
//
// Source   "ngx.socket.tcp", "ngx.req.socket" of ngx_lua's README.
// Thread   that of the VM.
// Memory   a socket is a userdata; its connection goes with it or with the request, whichever ends
//          first.
#include <sys/socket.h>
#include <netinet/tcp.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>

extern "C" {
#include "lua/api/socket_tcp.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/tcp_socket.hpp"
#include "lua/vm.hpp"
#include "net/client_services.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

using side = tcp_socket::side;
using progress = tcp_socket::progress;

constexpr const char* type_name = "troupe.tcp_socket";

struct handle {
  std::unique_ptr<tcp_socket> socket;
};

// The type of userdata 1 was checked by socket_tcp.lua: it alone has them.
handle& handle_of(lua_State* state) { return *static_cast<handle*>(lua_touserdata(state, 1)); }
tcp_socket& socket_of(lua_State* state) { return *handle_of(state).socket; }

int fail(lua_State* state, const char* error) {
  lua_pushnil(state);
  lua_pushstring(state, error);
  return 2;
}

std::string text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, index, &size);
  return text != nullptr ? std::string(text, size) : std::string();
}

// After the end of its owner it is closed; for other parts of the same request it is none of theirs.
void check_part(lua_State* state, const tcp_socket& socket) {
  if (socket.is_of_another_part(current.exchange)) luaL_error(state, "bad request");
}

// Whose socket it is: only the request, timer or worker that made it may use it.
void check_owner(lua_State* state, const tcp_socket& socket) {
  if (socket.owner() != &current.running->belongings()) luaL_error(state, "bad request");
}

// --- Waiting --------------------------------------------------------------------------------------

int finish_written(lua_State* state, void* operation) {
  auto& socket = *static_cast<tcp_socket*>(operation);
  socket.delivered(side::writer);
  if (socket.written.error != nullptr) return fail(state, socket.written.error);
  lua_pushinteger(state, 1);
  return 1;
}

int finish_sent(lua_State* state, void* operation) {
  auto& socket = *static_cast<tcp_socket*>(operation);
  socket.delivered(side::writer);
  if (socket.written.error != nullptr) return fail(state, socket.written.error);
  lua_pushnumber(state, static_cast<lua_Number>(socket.written.sent));
  return 1;
}

int finish_read(lua_State* state, void* operation) {
  static_cast<tcp_socket*>(operation)->delivered(side::reader);
  auto& read = static_cast<tcp_socket*>(operation)->read;
  const std::string data = std::move(read.data);
  if (read.error != nullptr) {
    lua_pushnil(state);
    lua_pushstring(state, read.error);
    lua_pushlstring(state, data.data(), data.size());
    return 3;
  }
  lua_pushlstring(state, data.data(), data.size());
  return 1;
}

void cancel_reader(void* operation) noexcept {
  static_cast<tcp_socket*>(operation)->cancel(side::reader);
}
void cancel_writer(void* operation) noexcept {
  static_cast<tcp_socket*>(operation)->cancel(side::writer);
}

// A wait below a C function raises; what was begun must not go on then.
void cancel_unwaitable(lua_State* state, tcp_socket& socket) {
  const coroutine* co = script::of(state);
  if (co == nullptr || co->is_nested || !lua_isyieldable(state)) {
    socket.on_owner_ended();
    script::refuse_wait(state);
  }
}

int wait_written(lua_State* state, tcp_socket& socket, progress now, bool connecting,
                 int (*finish)(lua_State*, void*)) {
  if (now == progress::done) return finish(state, &socket);
  cancel_unwaitable(state, socket);
  const wait_token token = script::begin_wait(state, &socket, finish, cancel_writer);
  socket.begin_wait(side::writer, token, socket.timeout_of(side::writer, connecting));
  return lua_yield(state, lua_gettop(state));  // Keeps the socket from the collector.
}

int wait_read(lua_State* state, tcp_socket& socket, progress now) {
  if (now == progress::done) return finish_read(state, &socket);
  cancel_unwaitable(state, socket);
  const wait_token token = script::begin_wait(state, &socket, finish_read, cancel_reader);
  socket.begin_wait(side::reader, token, socket.timeout_of(side::reader, false));
  return lua_yield(state, lua_gettop(state));  // Keeps the socket from the collector.
}

// --- Making and connecting ------------------------------------------------------------------------

int collect(lua_State* state) {
  static_cast<handle*>(lua_touserdata(state, 1))->~handle();
  return 0;
}

handle& push_new(lua_State* state) {
  auto* made = new (lua_newuserdata(state, sizeof(handle))) handle;
  if (luaL_newmetatable(state, type_name) != 0) {
    lua_pushcfunction(state, collect);
    lua_setfield(state, -2, "__gc");
  }
  lua_setmetatable(state, -2);
  made->socket = std::make_unique<tcp_socket>(*current.running);
  return *made;
}

// make() -> userdata
int make(lua_State* state) {
  if (current.running == nullptr) return luaL_error(state, "no request found");
  push_new(state);
  return 1;
}

// A socket whose request has ended serves the next one; what settimeouts, bind and setoption were told
// stays.
tcp_socket& renew(lua_State* state) {
  handle& h = handle_of(state);
  check_part(state, *h.socket);
  if (h.socket->owner() == nullptr) {
    auto made = std::make_unique<tcp_socket>(*current.running);
    made->connect_timeout = h.socket->connect_timeout;
    made->send_timeout = h.socket->send_timeout;
    made->read_timeout = h.socket->read_timeout;
    made->how = h.socket->how;
    h.socket = std::move(made);
  }
  return *h.socket;
}

// connect(socket, host, port, pool, pool_size | nil, backlog | nil)
int connect(lua_State* state) {
  tcp_socket& socket = renew(state);
  check_owner(state, socket);
  if (socket.is_request()) return luaL_error(state, "attempt to re-connect a request socket");
  if (const char* busy = socket.busy(side::reader)) return fail(state, busy);
  if (const char* busy = socket.busy(side::writer)) return fail(state, busy);
  tcp_socket::connect_options options;
  options.pool_key = text_at(state, 4);
  if (!lua_isnil(state, 5)) options.pool_size = static_cast<std::size_t>(lua_tointeger(state, 5));
  if (!lua_isnil(state, 6)) options.backlog = static_cast<int>(lua_tointeger(state, 6));
  if (socket.logs_debug()) {
    socket.log_debug("lua tcp socket connect timeout: " +
                     std::to_string(socket.timeout_of(side::writer, true)));
  }
  const progress now = socket.connect(text_at(state, 2), static_cast<std::uint16_t>(lua_tointeger(state, 3)),
                                      std::move(options));
  return wait_written(state, socket, now, true, finish_written);
}

// bind(socket, address, port) -> whether it is an address
int bind(lua_State* state) {
  tcp_socket& socket = renew(state);
  check_owner(state, socket);
  auto from = net::address::parse_literal(text_at(state, 2));
  if (!from) {
    lua_pushboolean(state, 0);
    return 1;
  }
  from->port(static_cast<std::uint16_t>(lua_tointeger(state, 3)));
  socket.how.from = *from;
  socket.log_debug("lua tcp socket bind ip: " + from->host());
  lua_pushboolean(state, 1);
  return 1;
}

// timeouts(socket, connect, send, read): milliseconds, 0 for the configuration's, nil for as it is
int timeouts(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  std::int64_t* const all[] = {&socket.connect_timeout, &socket.send_timeout, &socket.read_timeout};
  static constexpr const char* names[] = {"connect", "send", "read"};
  for (int i = 0; i < 3; ++i) {
    if (lua_isnil(state, i + 2)) continue;
    *all[i] = static_cast<std::int64_t>(lua_tonumber(state, i + 2));
    if (socket.logs_debug()) {
      socket.log_debug(std::string("lua tcp socket ") + names[i] +
                       " timeout: " + std::to_string(*all[i]));
    }
  }
  return 0;
}

// --- Reading and writing --------------------------------------------------------------------------

// send(socket, bytes)
int send(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  if (!socket.can_write()) {
    check_part(state, socket);
    socket.log_closed("send");
    return fail(state, "closed");
  }
  check_owner(state, socket);
  if (const char* busy = socket.busy(side::writer)) return fail(state, busy);
  if (socket.is_request() && !socket.is_raw()) {
    return luaL_error(state, "attempt to write to request sockets");
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(state, 2, &size);
  const std::string_view bytes(text != nullptr ? text : "", text != nullptr ? size : 0);
  if (bytes.empty()) {
    lua_pushinteger(state, 0);
    return 1;
  }
  if (socket.logs_debug()) {
    socket.log_debug("lua tcp socket send timeout: " +
                     std::to_string(socket.timeout_of(side::writer, false)));
  }
  return wait_written(state, socket, socket.send(bytes), false, finish_sent);
}

// Null: it may be read from.
const char* why_not_readable(lua_State* state, tcp_socket& socket) {
  if (!socket.can_read()) {
    check_part(state, socket);
    socket.log_closed("receive");
    return "closed";
  }
  check_owner(state, socket);
  if (socket.logs_debug()) {
    socket.log_debug("lua tcp socket read timeout: " +
                     std::to_string(socket.timeout_of(side::reader, false)));
  }
  return socket.busy(side::reader);
}

// receive(socket, kind, size): kind 0 a line, 1 so many bytes, 2 all, 3 any
int receive(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  read_goal goal;
  goal.what = static_cast<read_goal::kind>(lua_tointeger(state, 2));
  goal.size = static_cast<std::size_t>(lua_tonumber(state, 3));
  if (goal.what == read_goal::kind::size && goal.size == 0 && socket.is_open()) {
    lua_pushliteral(state, "");
    return 1;
  }
  if (const char* error = why_not_readable(state, socket)) return fail(state, error);
  if (goal.what == read_goal::kind::any && socket.logs_debug()) {
    socket.log_debug("lua tcp socket calling receiveany() method to read at most " +
                     std::to_string(goal.size) + " bytes");
    socket.log_debug("lua tcp socket read any");
  }
  return wait_read(state, socket, socket.receive(goal));
}

struct until {
  explicit until(std::string pattern, bool inclusive) : edge(std::move(pattern), inclusive) {}
  boundary edge;
};

int collect_until(lua_State* state) {
  static_cast<until*>(lua_touserdata(state, 1))->~until();
  return 0;
}

// pattern(text, inclusive) -> userdata for receive_until
int pattern(lua_State* state) {
  const std::string text = text_at(state, 1);
  const bool inclusive = lua_toboolean(state, 2) != 0;
  new (lua_newuserdata(state, sizeof(until))) until(text, inclusive);
  if (luaL_newmetatable(state, "troupe.until") != 0) {
    lua_pushcfunction(state, collect_until);
    lua_setfield(state, -2, "__gc");
  }
  lua_setmetatable(state, -2);
  return 1;
}

// receive_until(socket, pattern, size): size 0 for all up to the pattern
int receive_until(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  boundary& edge = static_cast<until*>(lua_touserdata(state, 2))->edge;
  if (std::exchange(edge.at_end, false)) {
    lua_settop(state, 0);
    lua_pushnil(state);
    lua_pushnil(state);
    lua_pushnil(state);
    return 3;
  }
  if (const char* error = why_not_readable(state, socket)) return fail(state, error);
  read_goal goal{.what = read_goal::kind::until,
                 .size = static_cast<std::size_t>(lua_tonumber(state, 3)),
                 .until = &edge};
  return wait_read(state, socket, socket.receive(goal));
}

// --- TLS ------------------------------------------------------------------------------------------

const net::tls_client* tls_of(lua_State* state, tcp_socket& socket) {
  if (socket.settings().lua_tls) return socket.settings().lua_tls.get();
  auto& standard = current.running->host().services().standard_tls;
  if (!standard) {
    auto made = net::tls_client::make({});
    if (!made) luaL_error(state, "%s", made.error().c_str());
    standard = *made;
  }
  return standard.get();
}

// What a cdata of Lua points to; null if it is none.
void* pointer_at(lua_State* state, int index) {
  constexpr int cdata = 10;  // LuaJIT's type of FFI values has no name in lua.h.
  if (lua_type(state, index) != cdata) return nullptr;
  return *static_cast<void* const*>(lua_topointer(state, index));
}

using kept_session = std::shared_ptr<net::tls_session>;

// The session as a pointer that free_session() takes.
int push_session(lua_State* state, const kept_session& session) {
  lua_pushlightuserdata(state, new kept_session(session));
  return 1;
}

int finish_handshake(lua_State* state, void* operation) {
  auto& socket = *static_cast<tcp_socket*>(operation);
  socket.delivered(side::writer);
  if (socket.written.error != nullptr) return fail(state, socket.written.error);
  if (!socket.is_open()) return fail(state, "closed");
  return push_session(state, socket.client()->session());
}

// The same for those who want no session: true.
int finish_without_session(lua_State* state, void* operation) {
  auto& socket = *static_cast<tcp_socket*>(operation);
  socket.delivered(side::writer);
  if (socket.written.error != nullptr) return fail(state, socket.written.error);
  if (!socket.is_open()) return fail(state, "closed");
  lua_pushboolean(state, 1);
  return 1;
}

std::string fingerprint(const STACK_OF(X509) * chain) {
  if (chain == nullptr || sk_X509_num(chain) < 1) return {};
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(sk_X509_value(chain, 0), EVP_sha256(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

// handshake(socket, session | nil, wants_session, name | nil, verify, status, chain | nil, key | nil)
int handshake(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  if (!socket.can_read() || !socket.can_write()) return fail(state, "closed");
  if (socket.owner() != &current.running->belongings()) return fail(state, "bad request");
  if (const char* busy = socket.busy(side::reader)) return fail(state, busy);
  if (const char* busy = socket.busy(side::writer)) return fail(state, busy);
  if (socket.is_request()) return fail(state, "not supported for downstream sockets");
  auto identity = std::make_shared<net::tls_identity>();
  identity->context = net::hold(tls_of(state, socket)->context());
  identity->trust = socket.trust;
  identity->name = text_at(state, 4);
  identity->is_verified = lua_toboolean(state, 5) != 0;
  net::tls_request wanted;
  if (const auto* kept = static_cast<const kept_session*>(pointer_at(state, 2))) {
    wanted.session = *kept;
  }
  wanted.wants_status = lua_toboolean(state, 6) != 0;
  wanted.chain = net::hold(static_cast<STACK_OF(X509)*>(pointer_at(state, 7)));
  wanted.key = net::hold(static_cast<EVP_PKEY*>(pointer_at(state, 8)));
  identity->certificate = fingerprint(wanted.chain.get());
  wanted.identity = std::move(identity);
  const auto finish = lua_toboolean(state, 3) != 0 ? finish_handshake : finish_without_session;
  return wait_written(state, socket, socket.handshake(std::move(wanted)), true, finish);
}

// trust(socket, store | nil)
int trust(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  if (!socket.is_open()) {
    check_part(state, socket);
    return fail(state, "closed");
  }
  if (socket.owner() != &current.running->belongings()) return fail(state, "bad request");
  if (socket.is_request()) return fail(state, "not supported for downstream sockets");
  if (socket.client()->tls() != nullptr) {
    return fail(state,
                "ssl handshake already done; trusted store cannot be changed on an established TLS "
                "connection");
  }
  socket.trust = net::hold(static_cast<X509_STORE*>(pointer_at(state, 2)));
  lua_pushboolean(state, 1);
  return 1;
}

// session(socket) -> as handshake() gives it
int session(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  if (!socket.is_open()) return fail(state, "closed");
  if (socket.is_request() || !socket.client()->session()) return fail(state, "no session");
  const kept_session& newest = socket.client()->session();
  if (newest->get() == nullptr) return fail(state, "no session");
  if (!newest->is_resumable()) return fail(state, "not resumable");
  return push_session(state, newest);
}

// tls_pointer(socket, of_context) -> SSL* or SSL_CTX*
int tls_pointer(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  const bool of_context = lua_toboolean(state, 2) != 0;
  if (!socket.is_open()) return fail(state, "closed");
  if (socket.owner() != &current.running->belongings()) return fail(state, "bad request");
  SSL* tls = socket.is_request() ? nullptr : socket.client()->tls();
  if (tls == nullptr) return fail(state, of_context ? "no ssl context" : "no ssl connection");
  lua_pushlightuserdata(state, of_context ? static_cast<void*>(SSL_get_SSL_CTX(tls)) : tls);
  return 1;
}

void free_session(troupe_tls_session* session) { delete reinterpret_cast<kept_session*>(session); }

// --- Ends and facts -------------------------------------------------------------------------------

int close(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  check_part(state, socket);
  if (!socket.is_open()) return fail(state, "closed");
  check_owner(state, socket);
  if (socket.is_request() && !socket.is_raw()) {
    return fail(state, "attempt to close a request socket");
  }
  if (const char* busy = socket.busy(side::reader)) return fail(state, busy);
  if (const char* busy = socket.busy(side::writer)) return fail(state, busy);
  if (!socket.close()) return fail(state, "closed");
  lua_pushinteger(state, 1);
  return 1;
}

// set_keepalive(socket, ms | -1, size | 0)
int set_keepalive(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  check_part(state, socket);
  if (!socket.is_open()) return fail(state, "closed");
  check_owner(state, socket);
  if (socket.is_request()) return luaL_error(state, "attempt to keep a request socket alive");
  if (const char* busy = socket.busy(side::reader)) return fail(state, busy);
  if (const char* busy = socket.busy(side::writer)) return fail(state, busy);
  const char* error = socket.set_keepalive(static_cast<std::int64_t>(lua_tonumber(state, 2)),
                                           static_cast<std::size_t>(lua_tonumber(state, 3)),
                                           current.machine->is_exiting());
  if (error != nullptr) return fail(state, error);
  lua_pushinteger(state, 1);
  return 1;
}

int reused_times(lua_State* state) {
  const tcp_socket& socket = socket_of(state);
  if (!socket.is_open()) return fail(state, "closed");
  lua_pushinteger(state, static_cast<lua_Integer>(socket.reused()));
  return 1;
}

int descriptor(lua_State* state) {
  const tcp_socket& socket = socket_of(state);
  if (!socket.is_open()) return fail(state, "closed");
  lua_pushinteger(state, socket.descriptor());
  return 1;
}

struct socket_option {
  const char* name;
  int level;
  int number;
};
constexpr socket_option known_options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE}, {"reuseaddr", SOL_SOCKET, SO_REUSEADDR},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY}, {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"rcvbuf", SOL_SOCKET, SO_RCVBUF},       {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},   {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE},
};

// option(socket, name, value | nil) -> value; of those not listed: nil, text
int option(lua_State* state) {
  tcp_socket& socket = socket_of(state);
  const std::string name = text_at(state, 2);
  if (name == "ip-transparent") {
    if (!lua_isnil(state, 3)) socket.how.is_transparent = lua_tointeger(state, 3) != 0;
    lua_pushinteger(state, socket.how.is_transparent ? 1 : 0);
    return 1;
  }
  if (!socket.was_used()) return luaL_error(state, "socket is never created nor connected");
  if (!socket.is_open()) return fail(state, "closed");
  for (const socket_option& known : known_options) {
    if (name != known.name) continue;
    int value = static_cast<int>(lua_tointeger(state, 3));
    socklen_t size = sizeof value;
    const int result =
        lua_isnil(state, 3)
            ? ::getsockopt(socket.descriptor(), known.level, known.number, &value, &size)
            : ::setsockopt(socket.descriptor(), known.level, known.number, &value, size);
    if (result != 0) return fail(state, strerrordesc_np(errno));
    lua_pushinteger(state, value);
    return 1;
  }
  return fail(state, ("unsupported option " + name).c_str());
}

// request(raw) -> a socket for the client's side of the request
int request(lua_State* state) {
  net::exchange* x = current.exchange;
  const bool raw = lua_toboolean(state, 1) != 0;
  if (x->is_subrequest) {
    return luaL_error(state, "attempt to read the request body in a subrequest");
  }
  if (x->socket_taken) return fail(state, "duplicate call");
  const char* error = nullptr;
  std::unique_ptr<net::stream> stream =
      x->owner != nullptr ? x->owner->take_stream(*x, raw, error) : nullptr;
  if (!stream) return fail(state, error != nullptr ? error : "client aborted");
  x->socket_taken = true;
  handle& made = push_new(state);
  made.socket->take_request(std::move(stream), raw);
  return 1;
}

constexpr troupe_ffi_socket_tcp table{.free_session = free_session};

constexpr luaL_Reg functions[] = {{"make", make},
                                  {"connect", connect},
                                  {"bind", bind},
                                  {"timeouts", timeouts},
                                  {"send", send},
                                  {"receive", receive},
                                  {"pattern", pattern},
                                  {"receive_until", receive_until},
                                  {"handshake", handshake},
                                  {"trust", trust},
                                  {"session", session},
                                  {"tls_pointer", tls_pointer},
                                  {"close", close},
                                  {"set_keepalive", set_keepalive},
                                  {"reused_times", reused_times},
                                  {"descriptor", descriptor},
                                  {"option", option},
                                  {"request", request},
                                  {nullptr, nullptr}};

}  // namespace

const api_area socket_tcp_area{.name = "socket_tcp",
                               .cdef =
                                   {
#include "lua/api/socket_tcp.ffi.h.inc"
                                   },
                               .table = &table,
                               .source =
                                   {
#include "lua/api/socket_tcp.lua.inc"
                                   },
                               .functions = functions};

}  // namespace troupe::lua
