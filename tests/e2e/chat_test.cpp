// SPDX-License-Identifier: Apache-2.0
//
// examples/chat: WebSockets that speak to each other through their addresses.
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>

namespace troupe::tests {
namespace {

test_node_options chat() { return {.shards = 2, .app = source_folder() / "examples/chat"}; }

/// A WebSocket client of small text frames (RFC 6455 section 5).
class web_socket {
public:
  web_socket(const test_node& node, const std::string& name) : wire_(test_client(node).connect()) {
    wire_.send("GET /chat?name=" + name +
               " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    head_ = wire_.read_until("\r\n\r\n");
  }
  [[nodiscard]] const std::string& head() const noexcept { return head_; }

  void say(const std::string& text) { frame(0x1, text); }
  void ping(const std::string& text) { frame(0x9, text); }
  void close() { frame(0x8, std::string("\x03\xe8", 2)); }
  void reset() { wire_.reset(); }

  /// The text of the next frame; a pong's behind "pong ".
  std::string hear() {
    const std::string head = wire_.read_exactly(2);
    if (head.size() < 2) return "the connection is closed";
    const std::string text = wire_.read_exactly(static_cast<unsigned char>(head[1]) & 0x7f);
    const int opcode = head[0] & 0xf;
    return opcode == 0xa ? "pong " + text : opcode == 0x8 ? "close" : text;
  }

private:
  void frame(int opcode, const std::string& text) {
    std::string bytes;
    bytes += static_cast<char>(0x80 | opcode);
    bytes += static_cast<char>(0x80 | text.size());
    bytes += std::string(4, '\0');  // A mask that leaves the text as it is.
    wire_.send(bytes + text);
  }

  test_connection wire_;
  std::string head_;
};

}  // namespace

TEST(chat, everybody_hears_what_one_says) {
  test_node node(chat());
  web_socket romeo(node, "Romeo");
  EXPECT_EQ(romeo.head().substr(0, 12), "HTTP/1.1 101");
  EXPECT_NE(romeo.head().find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
  EXPECT_EQ(romeo.hear(), "Romeo has come in");
  web_socket juliet(node, "Juliet");
  EXPECT_EQ(juliet.hear(), "Juliet has come in");
  EXPECT_EQ(romeo.hear(), "Juliet has come in");
  juliet.say("O Romeo");
  EXPECT_EQ(romeo.hear(), "Juliet: O Romeo");
  EXPECT_EQ(juliet.hear(), "Juliet: O Romeo");
  romeo.ping("still there?");
  EXPECT_EQ(romeo.hear(), "pong still there?");
  juliet.close();
  EXPECT_EQ(romeo.hear(), "Juliet has left");
  web_socket nurse(node, "Nurse");
  EXPECT_EQ(romeo.hear(), "Nurse has come in");
  nurse.reset();
  EXPECT_EQ(romeo.hear(), "Nurse has left");
  romeo.close();
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::error), no_lines);
}

TEST(chat, refuses_who_does_not_speak_websocket) {
  test_node node(chat());
  EXPECT_EQ(test_client(node).get("/chat").status, 400);
  EXPECT_EQ(test_client(node).get("/").header("Content-Type"), "text/html");
}

TEST(chat, its_page_speaks_and_hears_in_a_browser) {
  const temp_dir profile;
  if (run({"sh", "-c", "command -v chromium"}).status != 0) GTEST_SKIP() << "there is no chromium";
  test_node node(chat());
  web_socket romeo(node, "Romeo");
  EXPECT_EQ(romeo.hear(), "Romeo has come in");
  process browser({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--user-data-dir=" + profile.path().string(), "--remote-debugging-port=0",
                   "--enable-logging=stderr",
                   "http://127.0.0.1:" + std::to_string(node.port()) + "/?name=Juliet&say=O%20Romeo"},
                  {});
  EXPECT_EQ(romeo.hear(), "Juliet has come in");
  EXPECT_EQ(romeo.hear(), "Juliet: O Romeo");
  romeo.say("call me but love");
  EXPECT_TRUE(browser.wait_for([](const std::string&, const std::string& err) {
    return err.find("\"Romeo: call me but love\"") != std::string::npos;
  }, std::chrono::seconds(30)));
  browser.signal(SIGTERM);
  browser.wait();
  romeo.hear();  // Its own line.
  EXPECT_EQ(romeo.hear(), "Juliet has left");
}

}  // namespace troupe::tests
