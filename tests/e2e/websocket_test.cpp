// SPDX-License-Identifier: Apache-2.0
//
// Debian's lua-nginx-websocket, server and client, as its authors wrote it: over ngx.req.socket and
// a cosocket.
//
// Source   RFC 6455 sections 5 and 7.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

enum opcode { continuation = 0, text = 1, binary = 2, close_frame = 8, ping = 9, pong = 10 };

std::string frame(int code, const std::string& payload, bool final = true) {
  std::string bytes;
  bytes += static_cast<char>((final ? 0x80 : 0) | code);
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    bytes += static_cast<char>(0x80 | 126);
    bytes += static_cast<char>(payload.size() >> 8);
    bytes += static_cast<char>(payload.size() & 0xff);
  } else {
    bytes += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(payload.size() >> shift & 0xff);
    }
  }
  const std::string mask = "\x11\x22\x33\x44";
  bytes += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
  }
  return bytes;
}

class web_socket {
 public:
  explicit web_socket(const test_node& node) : wire_(test_client(node).connect()) {
    wire_.send(
        "GET /server HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    const std::string head = wire_.read_until("\r\n\r\n");
    EXPECT_NE(head.find(" 101 "), std::string::npos) << head;
    EXPECT_NE(head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << head;
  }

  bool send(const std::string& bytes) { return wire_.send(bytes); }
  // What the server says it has heard: one line in each text frame.
  std::string hear() {
    const std::string head = wire_.read_exactly(2);
    if (head.size() < 2) return "end";
    std::size_t size = static_cast<unsigned char>(head[1]);
    if (size == 126) {
      const std::string more = wire_.read_exactly(2);
      size = static_cast<unsigned char>(more[0]) << 8 | static_cast<unsigned char>(more[1]);
    }
    const std::string payload = wire_.read_exactly(size);
    const int code = head[0] & 0x0f;
    if (code == close_frame) {
      const int status =
          static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
      return "close " + std::to_string(status) + " " + payload.substr(2);
    }
    return code == pong ? "pong " + payload : payload;
  }
  test_connection& wire() { return wire_; }

 private:
  test_connection wire_;
};

test_node_options app(const std::string& client_code = "ngx.say('none')") {
  return {.conf = R"(
    lua_shared_dict ends 1m;
    server { listen @port@; lua_socket_log_errors off;
      location /server { content_by_lua_block {
        local server = require "resty.websocket.server"
        local ws, err = server:new{ timeout = 20000, max_payload_len = 70000 }
        if not ws then ngx.log(ngx.ERR, "new: ", err) return ngx.exit(444) end
        while true do
          local data, kind, err = ws:recv_frame()
          if not data then
            ngx.shared.ends:lpush("ends", tostring(err))
            return
          end
          if kind == "close" then
            ngx.shared.ends:lpush("ends", "close " .. tostring(err) .. " " .. data)
            ws:send_close(err, "so long")
            return
          elseif kind == "ping" then
            ws:send_pong(data)
          else
            ws:send_text(kind .. " " .. tostring(err) .. " " .. (#data > 100 and #data or data))
          end
        end } }
      location /ends { content_by_lua_block {
        local said
        repeat said = ngx.shared.ends:rpop("ends") if not said then ngx.sleep(0.005) end until said
        ngx.print(said) } }
      location /client { content_by_lua_block {
        local client = require "resty.websocket.client"
        local ws = client:new{ max_payload_len = 70000 }
        assert(ws:connect("ws://127.0.0.1:" .. ngx.var.server_port .. "/server"))
        )" + client_code +
                  R"( } } })"};
}

}  // namespace

TEST(websocket, a_server_hears_frames_whole_and_in_fragments) {
  test_node node(app());
  web_socket ws(node);
  ws.send(frame(text, "hello"));
  EXPECT_EQ(ws.hear(), "text nil hello");
  ws.send(frame(binary, std::string(65600, 'b')));
  EXPECT_EQ(ws.hear(), "binary nil 65600");
  // Control frames may stand between the fragments of a message.
  ws.send(frame(text, "one", false) + frame(ping, "still there?") +
          frame(continuation, "two", false) + frame(continuation, "three"));
  EXPECT_EQ(ws.hear(), "text again one");
  EXPECT_EQ(ws.hear(), "pong still there?");
  EXPECT_EQ(ws.hear(), "continuation again two");
  EXPECT_EQ(ws.hear(), "continuation nil three");
  for (const char byte : frame(text, "byte by byte") + frame(pong, "")) ws.send({&byte, 1});
  EXPECT_EQ(ws.hear(), "text nil byte by byte");
  EXPECT_EQ(ws.hear(), "pong nil ");
  ws.send(frame(close_frame, std::string("\x03\xe9", 2) + "leaving"));
  EXPECT_EQ(ws.hear(), "close 1001 so long");
  EXPECT_TRUE(ws.wire().is_closed_by_peer());
  ws.wire().close();
  EXPECT_EQ(test_client(node).get("/ends").body, "close 1001 leaving");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(websocket, a_server_refuses_what_breaks_the_rules_and_sees_who_vanishes) {
  test_node node(app());
  test_client client(node);
  const auto end_of = [&](const std::string& bytes, bool vanishes) {
    web_socket ws(node);
    ws.send(bytes);
    if (vanishes) ws.wire().close();
    const std::string said = client.get("/ends").body;
    if (!vanishes) {
      EXPECT_TRUE(ws.wire().is_closed_by_peer());
    }
    return said;
  };
  EXPECT_EQ(end_of(frame(text, std::string(70001, 'x')).substr(0, 14), false),
            "exceeding max payload len");
  EXPECT_EQ(end_of("\xf1\x81", false), "bad RSV1, RSV2, or RSV3 bits");
  EXPECT_EQ(end_of("\x83\x81", false), "reserved non-control frames");
  EXPECT_EQ(end_of("\x8b\x81", false), "reserved control frames");
  EXPECT_EQ(end_of(std::string("\x81\x01x", 3), false), "frame unmasked");
  EXPECT_EQ(end_of(frame(ping, std::string(126, 'p')).substr(0, 8), false),
            "too long payload for control frame");
  EXPECT_EQ(end_of(frame(ping, "p", false), false), "fragmented control frame");
  const std::string whole = frame(text, std::string(200, 'y'));
  for (const std::size_t cut : {0u, 1u, 3u, 5u, 9u, 100u}) {
    const std::string said = end_of(whole.substr(0, cut), true);
    EXPECT_NE(said.find("closed"), std::string::npos) << cut << ": " << said;
  }
  EXPECT_EQ(client.get("/server").status, 0);  // No handshake: 444.
  EXPECT_EQ(node.stop(), 0);
  EXPECT_TRUE(node.logs("new: bad \"upgrade\" request header: nil"));
}

TEST(websocket, a_client_talks_to_the_server) {
  test_node node(app(R"(
        local function said(...) return tostring((select(1, ...))), tostring((select(2, ...))), tostring((select(3, ...))) end
        assert(ws:send_text("hello"))           ngx.say(said(ws:recv_frame()))
        assert(ws:send_binary(("b"):rep(65600)))  ngx.say(said(ws:recv_frame()))
        assert(ws:send_ping("p"))               ngx.say(said(ws:recv_frame()))
        assert(ws:send_frame(false, 0x1, "one")) ngx.say(said(ws:recv_frame()))
        assert(ws:send_frame(true, 0x0, "two"))  ngx.say(said(ws:recv_frame()))
        -- One thread reads while another writes.
        local reader = ngx.thread.spawn(function() return ws:recv_frame() end)
        assert(ws:send_text("from another thread"))
        ngx.say(said(select(2, ngx.thread.wait(reader))))
        assert(ws:send_close(1000, "enough"))   ngx.say(said(ws:recv_frame()))
        ngx.say(tostring(ws:send_text("late")))
        assert(ws:close()))"));
  EXPECT_EQ(test_client(node).get("/client").body,
            "text nil hellotextnil\n"
            "binary nil 65600textnil\n"
            "ppongnil\n"
            "text again onetextnil\n"
            "continuation nil twotextnil\n"
            "text nil from another threadtextnil\n"
            "so longclose1000\n"
            "nil\n");
  EXPECT_EQ(test_client(node).get("/ends").body, "close 1000 enough");
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

}  // namespace troupe::tests
