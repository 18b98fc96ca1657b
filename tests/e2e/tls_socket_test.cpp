// SPDX-License-Identifier: Apache-2.0
//
// tcpsock:sslhandshake against openssl s_server, and against a server of the test's own that says by
// which name and over which connection it was asked. The certificates are made here.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <atomic>
#include <fstream>
#include <list>
#include <mutex>
#include <sstream>
#include <thread>

#include "net/socket.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/real_peer.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

void openssl(std::vector<std::string> words) {
  words.insert(words.begin(), "openssl");
  const finished done = run(words);
  EXPECT_EQ(done.status, 0) << done.err;
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

/// An authority of the test's, and what it has signed.
class authority {
public:
  authority() {
    std::ofstream(file("req.cnf")) << "[req]\ndistinguished_name = dn\n[dn]\n";
    std::ofstream(file("index.txt"));
    std::ofstream(file("ca.cnf")) << "[ca]\ndefault_ca = d\n[d]\ndatabase = " << file("index.txt")
                                  << "\ndefault_md = sha256\ndefault_crl_days = 2\ncertificate = "
                                  << file("ca.pem") << "\nprivate_key = " << file("ca.key") << "\n";
    make("ca", {"-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                "subjectKeyIdentifier=hash"});
  }
  /// NAME.pem and NAME.key, for the host NAME.
  void sign(const std::string& name, const std::string& by = "ca", bool may_sign = false) const {
    make(name, {"-CA", file(by + ".pem"), "-CAkey", file(by + ".key"), "-addext",
                "subjectAltName=DNS:" + name, "-addext",
                may_sign ? "basicConstraints=critical,CA:TRUE" : "basicConstraints=CA:FALSE"});
  }
  void revoke(const std::string& name) const {
    openssl({"ca", "-config", file("ca.cnf"), "-revoke", file(name + ".pem")});
  }
  /// ca.crl: who was revoked so far.
  void publish() const {
    openssl({"ca", "-config", file("ca.cnf"), "-gencrl", "-out", file("ca.crl")});
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return (folder_.path() / name).string();
  }

private:
  void make(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"req", "-x509", "-config", file("req.cnf"), "-newkey", "ec",
                                      "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                                      "2", "-subj", "/CN=" + name, "-keyout", file(name + ".key"),
                                      "-out", file(name + ".pem")};
    words.insert(words.end(), more.begin(), more.end());
    openssl(words);
  }
  temp_dir folder_;
};

/// openssl s_server with the certificate of `name`, which answers with a page about the connection.
real_peer server_of(const authority& by, const std::string& name,
                    const std::vector<std::string>& more = {}) {
  return real_peer([&](const std::string& port) {
    std::vector<std::string> words = {"openssl", "s_server", "-quiet", "-www", "-accept", port,
                                      "-key", by.file(name + ".key"), "-cert",
                                      by.file(name + ".pem")};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  });
}

/// Answers a line with "NAME #CONNECTION LINE", NAME being the one it was asked for by SNI. Its
/// connections are served side by side.
class tls_peer {
public:
  explicit tls_peer(const authority& by, const std::string& name) {
    SSL_CTX_use_certificate_file(context_, by.file(name + ".pem").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context_, by.file(name + ".key").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_load_verify_locations(context_, by.file("ca.pem").c_str(), nullptr);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any);
    ::listen(listener_.get(), 16);
    port_ = net::local_address(listener_.get()).port();
    acceptor_ = std::thread([this] {
      for (int number = 1;; ++number) {
        const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        const std::lock_guard hold(mutex_);
        sockets_.emplace_back(fd);
        threads_.emplace_back([this, fd, number] { serve(fd, number); });
      }
    });
  }
  ~tls_peer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (const auto& one : sockets_) ::shutdown(one.get(), SHUT_RDWR);
    for (auto& one : threads_) one.join();
    SSL_CTX_free(context_);
  }
  [[nodiscard]] std::string port() const { return std::to_string(port_); }

private:
  void serve(int fd, int number) {
    SSL* tls = SSL_new(context_);
    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) == 1) {
      const char* name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
      X509* shown = SSL_get0_peer_certificate(tls);
      char subject[128] = "nobody";
      if (shown != nullptr) {
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, subject, sizeof subject);
      }
      char room[256];
      for (int n; (n = SSL_read(tls, room, sizeof room)) > 0;) {
        const std::string reply = std::string(name != nullptr ? name : "-") + " to " + subject + " #" +
                                  std::to_string(number) + " " +
                                  std::string(room, static_cast<std::size_t>(n));
        SSL_write(tls, reply.data(), static_cast<int>(reply.size()));
      }
      SSL_shutdown(tls);
    }
    SSL_free(tls);
    ::shutdown(fd, SHUT_RDWR);
  }

  SSL_CTX* context_ = SSL_CTX_new(TLS_server_method());
  net::unique_fd listener_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<net::unique_fd> sockets_;
  std::list<std::thread> threads_;
};

std::string connect_to(const real_peer& peer) {
  return "local sock = ngx.socket.tcp() assert(sock:connect('127.0.0.1', " +
         std::to_string(peer.address().port) + ")) ";
}

test_node_options with(const std::string& code, const std::string& more = {}) {
  return {.conf = "server { listen @port@; lua_socket_log_errors off; " + more +
                  " location = / { content_by_lua_block { " + code + " } } }"};
}

/// What the code says; the node then leaves with 0 and has logged nothing unexpected.
std::string answer(const std::string& code, const std::string& more = {}) {
  test_node node(with(code, more));
  const std::string body = test_client(node).get("/").body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

/// Lua: asks s_server for its page and says what it tells of `wanted`, a pattern.
const std::string ask_page = R"(
  local function page(sock, wanted)
      assert(sock:send("GET / HTTP/1.0\r\n\r\n"))
      local text = assert(sock:receive("*a"))
      return text:match(wanted) or "not there"
  end )";

}  // namespace

TEST(tls_socket, verifies_the_peer_and_says_what_is_wrong_with_it) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test");
  const std::string connect = connect_to(server);
  const std::string trusted = "lua_ssl_trusted_certificate " + ca.file("ca.pem") + ";";
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, 'stage.test', true))"),
            "nil20: unable to get local issuer certificate\n");
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, 'stage.test', true))", trusted), "true\n");
  EXPECT_EQ(answer(connect + "ngx.say(sock:sslhandshake(false, nil, true))", trusted), "true\n");
  EXPECT_EQ(answer(connect + R"(
      ngx.say(sock:sslhandshake(false, 'other.test', true))
      ngx.say(sock:send("x"))
      ngx.say(sock:close()))", trusted),
            "nilcertificate host mismatch\nnilclosed\nnilclosed\n");
}

TEST(tls_socket, logs_why_a_peer_was_not_believed) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test");
  test_node node({.conf = "server { listen @port@; location / { content_by_lua_block { " +
                          connect_to(server) + "ngx.say(sock:sslhandshake(nil, ngx.var.arg_name, true)) } } "
                          "location /trusting { lua_ssl_trusted_certificate " + ca.file("ca.pem") +
                          "; content_by_lua_block { " + connect_to(server) +
                          "ngx.say(sock:sslhandshake(nil, ngx.var.arg_name, true)) } } }"});
  test_client client(node);
  client.get("/?name=stage.test");
  EXPECT_TRUE(node.logs("lua ssl certificate verify error: (20: unable to get local issuer certificate)"));
  client.get("/trusting?name=other.test");
  EXPECT_TRUE(node.logs("lua ssl certificate does not match host \"other.test\""));
}

TEST(tls_socket, counts_the_depth_of_a_chain) {
  const authority ca;
  ca.sign("middle", "ca", true);
  ca.sign("low", "middle", true);
  ca.sign("stage.test", "low");
  std::ofstream(ca.file("chain.pem")) << bytes_of(ca.file("low.pem")) << bytes_of(ca.file("middle.pem"));
  const real_peer server = server_of(ca, "stage.test", {"-cert_chain", ca.file("chain.pem")});
  const std::string shake = connect_to(server) + "ngx.say(sock:sslhandshake(false, 'stage.test', true))";
  const std::string trusted = "lua_ssl_trusted_certificate " + ca.file("ca.pem") + ";";
  EXPECT_EQ(answer(shake, trusted), "nil22: certificate chain too long\n");
  EXPECT_EQ(answer(shake, trusted + " lua_ssl_verify_depth 3;"), "true\n");
}

TEST(tls_socket, refuses_who_was_revoked) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test");
  const std::string shake = connect_to(server) + "ngx.say(sock:sslhandshake(false, 'stage.test', true))";
  const std::string conf = "lua_ssl_trusted_certificate " + ca.file("ca.pem") + "; lua_ssl_crl " +
                           ca.file("ca.crl") + ";";
  ca.publish();
  EXPECT_EQ(answer(shake, conf), "true\n");
  ca.revoke("stage.test");
  ca.publish();
  EXPECT_EQ(answer(shake, conf), "nil23: certificate revoked\n");
}

// The server tells: New or Reused. A ticket of TLS 1.3 comes with the first bytes, after the handshake.
TEST(tls_socket, takes_up_sessions_of_tls_1_2_and_1_3) {
  const authority ca;
  ca.sign("stage.test");
  const std::string trusted = "lua_ssl_trusted_certificate " + ca.file("ca.pem") + ";";
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const real_peer server = server_of(ca, "stage.test", {version});
    const std::string port = std::to_string(server.address().port);
    EXPECT_EQ(answer(ask_page + R"(
      local function ask(session, name)
          local sock = ngx.socket.tcp()
          assert(sock:connect("127.0.0.1", )" + port + R"())
          local made = assert(sock:sslhandshake(session, name or "stage.test", name == nil))
          local how = page(sock, "(%a+), TLSv")
          sock:close()
          return made, how
      end
      local session, how = ask()
      ngx.say(type(session), " ", how)
      session, how = ask(session) ngx.say(how)
      session, how = ask(session) ngx.say(how)
      ngx.say(select(2, ask(session, "other.test")))
      ngx.say(ask(false)))", trusted),
              "cdata New\nReused\nReused\nNew\ntrueNew\n")
        << version;
  }
}

TEST(tls_socket, gives_the_session_only_if_it_can_be_taken_up) {
  const authority ca;
  ca.sign("stage.test");
  const tls_peer server(ca, "stage.test");
  EXPECT_EQ(answer("local port = " + server.port() + R"(
      local sock = ngx.socket.tcp()
      ngx.say(sock:getsslsession()) ngx.say(sock:getsslpointer()) ngx.say(sock:getsslctx())
      assert(sock:connect("127.0.0.1", port))
      ngx.say(sock:getsslsession()) ngx.say(sock:getsslpointer()) ngx.say(sock:getsslctx())
      assert(sock:sslhandshake(nil, "a.test"))
      ngx.say(sock:getsslsession())
      sock:send("x\n") sock:receive()
      ngx.say(type(sock:getsslsession()), type(sock:getsslpointer()), type(sock:getsslctx())))"),
            "nilclosed\nnilclosed\nnilclosed\nnilno session\nnilno ssl connection\nnilno ssl context\n"
            "nilnot resumable\ncdatacdatacdata\n");
}

TEST(tls_socket, shows_the_certificate_of_the_configuration_or_of_the_script) {
  const authority ca;
  ca.sign("stage.test");
  ca.sign("alice");
  ca.sign("bob");
  const real_peer server = server_of(ca, "stage.test", {"-Verify", "1", "-CAfile", ca.file("ca.pem"),
                                                        "-verify_return_error", "-tls1_2"});
  const std::string who = ask_page + connect_to(server);
  const std::string say = " ngx.say(page(sock, 'Subject: CN ?= ?(%a+)'))";
  EXPECT_EQ(answer(who + "ngx.say(sock:sslhandshake())"), "nilhandshake failed\n");
  EXPECT_EQ(answer(who + "assert(sock:sslhandshake())" + say,
                   "lua_ssl_certificate " + ca.file("alice.pem") + "; lua_ssl_certificate_key " +
                       ca.file("alice.key") + ";"),
            "alice\n");
  const std::string of_bob = "local ssl = require 'ngx.ssl' local f = io.open('" + ca.file("bob.pem") +
                             "') local pem = f:read('*a') f:close() f = io.open('" + ca.file("bob.key") +
                             "') local key = f:read('*a') f:close() ";
  EXPECT_EQ(answer(who + of_bob +
                   "assert(sock:setclientcert(ssl.parse_pem_cert(pem), ssl.parse_pem_priv_key(key))) "
                   "collectgarbage() collectgarbage() assert(sock:sslhandshake())" + say),
            "bob\n");
  EXPECT_EQ(answer(who + of_bob +
                   "assert(sock:setclientcert(ssl.parse_der_cert(ssl.cert_pem_to_der(pem)), "
                   "ssl.parse_der_priv_key(ssl.priv_key_pem_to_der(key)))) assert(sock:sslhandshake())" + say),
            "bob\n");
  EXPECT_EQ(answer(who + of_bob +
                   "assert(sock:setclientcert(ssl.parse_pem_cert(pem), ssl.parse_pem_priv_key(key))) "
                   "assert(sock:setclientcert()) ngx.say(sock:sslhandshake())"),
            "nilhandshake failed\n");
}

TEST(tls_socket, says_what_is_wrong_with_a_client_certificate) {
  const authority ca;
  ca.sign("stage.test");
  ca.sign("alice");
  ca.sign("bob");
  const real_peer server = server_of(ca, "stage.test");
  EXPECT_EQ(answer(connect_to(server) + "local cert, key = '" + ca.file("alice.pem") + "', '" +
                   ca.file("bob.key") + R"('
      local ssl = require "ngx.ssl"
      local function read(name) local f = io.open(name) local all = f:read("*a") f:close() return all end
      ngx.say(sock:setclientcert(nil, "x")) ngx.say(sock:setclientcert("x"))
      ngx.say(sock:setclientcert("x", "y"))
      local chain = assert(ssl.parse_pem_cert(read(cert)))
      ngx.say(sock:setclientcert(chain, "y"))
      assert(sock:setclientcert(chain, assert(ssl.parse_pem_priv_key(read(key)))))
      ngx.say(sock:sslhandshake()))"),
            "nilclient certificate must be supplied with corresponding private key\n"
            "nilclient certificate must be supplied with corresponding private key\n"
            "nilbad cert arg: cdata expected, got string\nnilbad pkey arg: cdata expected, got string\n"
            "nilssl set client private key failed\n");
}

TEST(tls_socket, trusts_the_store_that_it_is_given) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test");
  EXPECT_EQ(answer("local ffi = require 'ffi' ffi.cdef [[ typedef struct x509_store_st X509_STORE; "
                   "X509_STORE* X509_STORE_new(void); void X509_STORE_free(X509_STORE*); "
                   "int X509_STORE_load_locations(X509_STORE*, const char*, const char*); ]] "
                   "local C = ffi.load('libssl.so.3', true) "
                   "local store = ffi.gc(C.X509_STORE_new(), C.X509_STORE_free) "
                   "C.X509_STORE_load_locations(store, '" + ca.file("ca.pem") + "', nil) "
                   "ngx.say(ngx.socket.tcp():settrustedstore(store)) " + connect_to(server) + R"(
      ngx.say(sock:settrustedstore("x"))
      ngx.say(sock:settrustedstore(store))
      ngx.say(sock:sslhandshake(false, "stage.test", true))
      ngx.say(sock:settrustedstore(store)))"),
            "nilclosed\nnilbad store arg: cdata expected, got string\ntrue\ntrue\n"
            "nilssl handshake already done; trusted store cannot be changed on an established TLS "
            "connection\n");
}

// The pool is by address: what another name, another certificate or no verification made is not
// handed to who wants it otherwise, and stays for those who made it.
TEST(tls_socket, of_a_pool_is_of_the_identity_that_was_asked_for) {
  const authority ca;
  ca.sign("a.test");
  ca.sign("alice");
  const tls_peer server(ca, "a.test");
  const std::string ask = "local cert, key, port = '" + ca.file("alice.pem") + "', '" +
                          ca.file("alice.key") + "', " + server.port() + R"(
      local ssl = require "ngx.ssl"
      local function read(name) local f = io.open(name) local all = f:read("*a") f:close() return all end
      cert, key = ssl.parse_pem_cert(read(cert)), ssl.parse_pem_priv_key(read(key))
      local function ask(name, verify, as_alice, options)
          local sock = ngx.socket.tcp()
          assert(sock:connect("127.0.0.1", port, options))
          if as_alice then sock:setclientcert(cert, key) end
          assert(sock:sslhandshake(nil, name, verify))
          assert(sock:send("x\n"))
          ngx.say(sock:getreusedtimes(), " ", (sock:receive()))
          assert(sock:setkeepalive())
      end )";
  const std::string trusted = "lua_ssl_trusted_certificate " + ca.file("ca.pem") + ";";
  EXPECT_EQ(answer(ask + R"(
      ask("a.test") ask("a.test")
      ask("b.test") ask("b.test")
      ask("a.test")
      ask("a.test", true) ask("a.test")
      ask("a.test", true, true) ask("a.test", true)
      ask("b.test"))", trusted),
            "0 a.test to nobody #1 x\n1 a.test to nobody #1 x\n"
            "0 b.test to nobody #2 x\n1 b.test to nobody #2 x\n"
            "2 a.test to nobody #1 x\n"
            "0 a.test to nobody #3 x\n3 a.test to nobody #1 x\n"
            "0 a.test to alice #4 x\n1 a.test to nobody #3 x\n"
            "2 b.test to nobody #2 x\n");
  // Where places are counted the other one is closed for it.
  EXPECT_EQ(answer(ask + R"(
      local one = { pool = "p", pool_size = 1, backlog = 0 }
      ask("a.test", false, false, one) ask("b.test", false, false, one) ask("b.test", false, false, one))"),
            "0 a.test to nobody #5 x\n0 b.test to nobody #6 x\n1 b.test to nobody #6 x\n");
}

TEST(tls_socket, is_shaken_hands_with_once) {
  const authority ca;
  ca.sign("stage.test");
  const tls_peer server(ca, "stage.test");
  EXPECT_EQ(answer("local sock = ngx.socket.tcp() sock:connect('127.0.0.1', " + server.port() + R"()
      assert(sock:sslhandshake(nil, "a.test"))
      ngx.say(sock:sslhandshake(false, "b.test", true))
      sock:send("x\n") ngx.say((sock:receive())))"),
            "true\na.test to nobody #1 x\n");
}

TEST(tls_socket, says_what_ends_a_handshake) {
  test_peer silent([](test_connection& with) { with.read_rest(); });
  test_peer rude([](test_connection& with) { with.read_exactly(1); });
  test_peer other([](test_connection& with) { with.send("220 smtp.test ready\r\n"); with.read_rest(); });
  const auto to = [](const test_peer& peer) {
    return "local sock = ngx.socket.tcp() assert(sock:connect('127.0.0.1', " +
           std::to_string(peer.address().port) + ")) ";
  };
  EXPECT_EQ(answer(to(silent) + "sock:settimeout(20) ngx.say(sock:sslhandshake()) ngx.say(sock:close())"),
            "niltimeout\nnilclosed\n");
  EXPECT_EQ(answer(to(rude) + "ngx.say(sock:sslhandshake()) ngx.say(sock:close())"),
            "nilhandshake failed\nnilclosed\n");
  EXPECT_EQ(answer(to(other) + "ngx.say(sock:sslhandshake())"), "nilhandshake failed\n");
  EXPECT_EQ(answer("ngx.say(ngx.socket.tcp():sslhandshake()) "
                   "ngx.say(pcall(ngx.socket.tcp().sslhandshake)) "
                   "ngx.say(pcall(ngx.socket.tcp().sslhandshake, ngx.socket.tcp(), 1, 2, 3, 4, 5))"),
            "nilclosed\n"
            "falsengx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen 0\n"
            "falsengx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen 6\n");
  EXPECT_EQ(answer(to(silent) + R"(
      local t = ngx.thread.spawn(function() return sock:sslhandshake() end)
      ngx.say(sock:receive()) ngx.say(sock:send("x")) ngx.say(sock:sslhandshake())
      ngx.thread.kill(t)
      ngx.say(sock:close()))"),
            "nilsocket busy connecting\nnilsocket busy connecting\nnilsocket busy connecting\nnilclosed\n");
}

TEST(tls_socket, keeps_to_protocols_ciphers_and_commands_and_writes_its_secrets) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test");
  const std::string look = ask_page + connect_to(server) +
                           "local ok, e = sock:sslhandshake(false) if not ok then return ngx.say(e) end "
                           "ngx.say(page(sock, 'New, ([^\\n]*)'))";
  EXPECT_EQ(answer(look, "lua_ssl_protocols TLSv1.2; lua_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;"),
            "TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256\n");
  EXPECT_EQ(answer(look, "lua_ssl_protocols TLSv1.3; lua_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"),
            "TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256\n");
  const real_peer old = server_of(ca, "stage.test", {"-tls1_2"});
  EXPECT_EQ(answer(connect_to(old) + "ngx.say(sock:sslhandshake(false))", "lua_ssl_protocols TLSv1.3;"),
            "nilhandshake failed\n");
  EXPECT_EQ(answer(look, "lua_ssl_key_log " + ca.file("keys.log") + ";").substr(0, 7), "TLSv1.3");
  EXPECT_NE(bytes_of(ca.file("keys.log")).find("CLIENT_TRAFFIC_SECRET_0 "), std::string::npos);
}

TEST(tls_socket, asks_for_a_stapled_answer) {
  const authority ca;
  ca.sign("stage.test");
  const real_peer server = server_of(ca, "stage.test", {"-status_verbose"});
  EXPECT_EQ(answer(connect_to(server) + "ngx.say(sock:sslhandshake(false, 'stage.test', false, true))"),
            "true\n");
}

TEST(tls_socket, of_tls_1_3_is_kept_though_tickets_came_unread) {
  const authority ca;
  ca.sign("a.test");
  const tls_peer server(ca, "a.test");
  EXPECT_EQ(answer("local port = " + server.port() + R"(
      for _ = 1, 2 do
          local sock = ngx.socket.tcp()
          assert(sock:connect("127.0.0.1", port))
          assert(sock:sslhandshake(false))
          ngx.sleep(0.02)  -- Time for the tickets, which nobody reads.
          ngx.say(sock:getreusedtimes(), " ", assert(sock:setkeepalive()))
      end)"),
            "0 1\n1 1\n");
}

TEST(ngx_ssl, says_what_is_no_certificate_and_no_key) {
  EXPECT_EQ(answer(R"(
      local ssl = require "ngx.ssl"
      for _, name in ipairs{ "cert_pem_to_der", "priv_key_pem_to_der", "parse_pem_cert", "parse_der_cert",
                             "parse_pem_priv_key", "parse_der_priv_key" } do
          ngx.say(name, " ", select(2, ssl[name]("no such thing")))
      end
      ngx.say(select(2, ssl.parse_der_cert("")), ", ", select(2, ssl.parse_der_priv_key(""))))"),
            "cert_pem_to_der PEM_read_bio_X509_AUX() failed\n"
            "priv_key_pem_to_der PEM_read_bio_PrivateKey() failed\n"
            "parse_pem_cert PEM_read_bio_X509_AUX() failed\nparse_der_cert d2i_X509_bio() failed\n"
            "parse_pem_priv_key PEM_read_bio_PrivateKey() failed\n"
            "parse_der_priv_key d2i_PrivateKey_bio() failed\ninvalid argument, invalid argument\n");
}

TEST(ngx_ssl, opens_a_key_with_its_passphrase_and_asks_nobody_for_it) {
  const authority ca;
  ca.sign("alice");
  openssl({"pkey", "-in", ca.file("alice.key"), "-aes128", "-passout", "pass:open", "-out",
           ca.file("locked.key")});
  EXPECT_EQ(answer("local f = io.open('" + ca.file("locked.key") + R"(') local pem = f:read("*a") f:close()
      local ssl = require "ngx.ssl"
      ngx.say(select(2, ssl.priv_key_pem_to_der(pem)))
      ngx.say(select(2, ssl.priv_key_pem_to_der(pem, "wrong")))
      local der = ssl.priv_key_pem_to_der(pem, "open")
      ngx.say(type(ssl.parse_der_priv_key(der))))"),
            "PEM_read_bio_PrivateKey() failed\nPEM_read_bio_PrivateKey() failed\ncdata\n");
}

}  // namespace troupe::tests
