// SPDX-License-Identifier: Apache-2.0
//
// ngx.socket.udp: Lua's side of lua/udp_socket. socket_udp.lua checks arguments.
//
// Source   "ngx.socket.udp" of ngx_lua's README.
// Thread   that of the VM.
// Memory   a socket is a userdata; its descriptor goes with it or with the request, whichever ends
//          first.
#include <cstddef>
#include <memory>
#include <new>
#include <string>

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/udp_socket.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {
namespace {

using progress = udp_socket::progress;

struct handle {
  std::unique_ptr<udp_socket> socket;
};

// The type of userdata 1 was checked by socket_udp.lua: it alone has them.
handle& handle_of(lua_State* state) { return *static_cast<handle*>(lua_touserdata(state, 1)); }
udp_socket& socket_of(lua_State* state) { return *handle_of(state).socket; }

int fail(lua_State* state, const char* error) {
  lua_pushnil(state);
  lua_pushstring(state, error);
  return 2;
}

std::string_view text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, index, &size);
  return {text, size};
}

// Whose socket it is: only the request, timer or worker that made it may use it.
void check_owner(lua_State* state, const udp_socket& socket) {
  if (socket.owner() != &current.running->belongings()) luaL_error(state, "bad request");
}

int collect(lua_State* state) {
  handle_of(state).~handle();
  return 0;
}

// make() -> userdata
int make(lua_State* state) {
  if (current.running == nullptr) return luaL_error(state, "no request found");
  auto* made = new (lua_newuserdata(state, sizeof(handle))) handle;
  if (luaL_newmetatable(state, "troupe.udp_socket") != 0) {
    lua_pushcfunction(state, collect);
    lua_setfield(state, -2, "__gc");
  }
  lua_setmetatable(state, -2);
  made->socket = std::make_unique<udp_socket>(*current.running);
  return 1;
}

int finish_peer(lua_State* state, void* operation) {
  auto& socket = *static_cast<udp_socket*>(operation);
  socket.delivered();
  if (!socket.last.error.empty()) return fail(state, socket.last.error.c_str());
  lua_pushinteger(state, 1);
  return 1;
}

int finish_receive(lua_State* state, void* operation) {
  auto& socket = *static_cast<udp_socket*>(operation);
  socket.delivered();
  if (!socket.last.error.empty()) return fail(state, socket.last.error.c_str());
  lua_pushlstring(state, socket.last.data.data(), socket.last.data.size());
  return 1;
}

void cancel(void* operation) noexcept { static_cast<udp_socket*>(operation)->cancel(); }

int wait(lua_State* state, udp_socket& socket, progress now, int (*finish)(lua_State*, void*)) {
  if (now == progress::done) return finish(state, &socket);
  socket.begin_wait(script::begin_wait(state, &socket, finish, cancel));
  return lua_yield(state, lua_gettop(state));  // Keeps the socket from the collector.
}

// set_peer(socket, host, port)
int set_peer(lua_State* state) {
  handle& h = handle_of(state);
  if (h.socket->is_of_another_part(current.exchange)) luaL_error(state, "bad request");
  if (h.socket->owner() == nullptr && !h.socket->is_open()) {
    // What settimeout and bind were told is the object's, whoever used it last.
    auto made = std::make_unique<udp_socket>(*current.running);
    made->from = h.socket->from;
    made->timeout_ms = h.socket->timeout_ms;
    h.socket = std::move(made);
  }
  udp_socket& socket = *h.socket;
  check_owner(state, socket);
  if (socket.is_busy()) return fail(state, "socket busy");
  const progress now = socket.set_peer(std::string(text_at(state, 2)),
                                       static_cast<std::uint16_t>(lua_tointeger(state, 3)));
  return wait(state, socket, now, finish_peer);
}

// bind(socket, address) -> whether it is an address
int bind(lua_State* state) {
  const auto from = net::address::parse_literal(text_at(state, 2));
  if (from) {
    socket_of(state).from = *from;
    socket_of(state).log_debug("lua udp socket bind ip: " + from->host());
  }
  lua_pushboolean(state, from.has_value());
  return 1;
}

bool is_closed(lua_State* state, udp_socket& socket, const char* doing) {
  if (socket.is_open()) return false;
  if (socket.is_of_another_part(current.exchange)) luaL_error(state, "bad request");
  socket.log_error(std::string("attempt to ") + doing + " data on a closed socket");
  return true;
}

// send(socket, bytes)
int send(lua_State* state) {
  udp_socket& socket = socket_of(state);
  if (is_closed(state, socket, "send")) return fail(state, "closed");
  check_owner(state, socket);
  if (socket.is_busy()) return fail(state, "socket busy");
  const std::string error = socket.send(text_at(state, 2));
  if (!error.empty()) return fail(state, error.c_str());
  lua_pushinteger(state, 1);
  return 1;
}

// receive(socket, most)
int receive(lua_State* state) {
  udp_socket& socket = socket_of(state);
  if (is_closed(state, socket, "receive")) return fail(state, "closed");
  check_owner(state, socket);
  if (socket.is_busy()) return fail(state, "socket busy");
  const auto most = static_cast<std::size_t>(lua_tonumber(state, 2));
  socket.log_debug("lua udp socket receive buffer size: " + std::to_string(most));
  return wait(state, socket, socket.receive(most), finish_receive);
}

int timeout(lua_State* state) {
  socket_of(state).timeout_ms = static_cast<std::int64_t>(lua_tonumber(state, 2));
  return 0;
}

int close(lua_State* state) {
  udp_socket& socket = socket_of(state);
  if (!socket.is_open()) {
    if (socket.is_of_another_part(current.exchange)) luaL_error(state, "bad request");
    return fail(state, "closed");
  }
  check_owner(state, socket);
  if (socket.is_busy()) return fail(state, "socket busy");
  socket.close();
  lua_pushinteger(state, 1);
  return 1;
}

constexpr luaL_Reg functions[] = {{"make", make},       {"set_peer", set_peer},
                                  {"bind", bind},       {"send", send},
                                  {"receive", receive}, {"timeout", timeout},
                                  {"close", close},     {nullptr, nullptr}};

}  // namespace

const api_area socket_udp_area{.name = "socket_udp",
                               .cdef = {},
                               .table = nullptr,
                               .source = {
#include "lua/api/socket_udp.lua.inc"
                               },
                               .functions = functions};

}  // namespace troupe::lua
