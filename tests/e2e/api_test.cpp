// SPDX-License-Identifier: Apache-2.0
//
// The functions of the Lua API as a client sees them: each line is code that a location runs, and
// what it says.
#include <gtest/gtest.h>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

struct line {
  const char* code;
  const char* said;
};

/// Runs the code of its requests' bodies.
test_node_options runner() {
  return {.conf = R"(
      lua_shared_dict dict 1m;
      server {
          listen @port@;
          server_name stage.test;
          set $cup tea;
          location / {
              content_by_lua_block {
                  ngx.req.read_body()
                  local code = assert(loadstring(ngx.req.get_body_data()))
                  return code()
              }
          }
          location /target { content_by_lua_block { ngx.say("target ", ngx.var.uri, " ", ngx.var.args) } }
          location @named { content_by_lua_block { ngx.say("named ", ngx.var.uri) } }
      })",
          .files = {{"lua/part.lua", "return { name = 'Nurse', line = ... }"}}};
}

class api : public testing::Test {
protected:
  void says(std::initializer_list<line> lines) {
    for (const auto& [code, said] : lines) {
      const response answer = client_.post("/here?a=1&b=two%20words&c&a=3", code, {{"X-Part", "Juliet"}, {"X-Part", "Romeo"}});
      EXPECT_EQ(answer.body, said) << code << "\n" << (answer.status == 500 ? node_.log() : "");
    }
  }
  response post(const std::string& code) { return client_.post("/here?a=1", code); }

  test_node node_{runner()};
  test_client client_{node_};
};

}  // namespace

TEST_F(api, output) {
  says({{"ngx.say('a', 1, nil, true, {2, {'b'}}, ngx.null)", "a1niltrue2bnull\n"},
        {"ngx.print('a') ngx.print('b')", "ab"},
        {"ngx.say(ngx.headers_sent) ngx.flush(true) ngx.say(ngx.headers_sent)", "false\ntrue\n"},
        {"ngx.print('x') ngx.eof() ngx.print('late')", "x"},
        {"ngx.send_headers() ngx.say(ngx.headers_sent)", "true\n"},
        {"local ok, e = ngx.eof() ngx.say('x')", ""}});
  const response answer = post(
      "ngx.status = 418 ngx.header['X-One'] = 1 ngx.header.x_list = {'a', 'b'} ngx.header['X-Gone'] = 'x' "
      "ngx.header['X-Gone'] = nil ngx.header.content_type = 'text/html' ngx.say(ngx.header['X-One'])");
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.header("X-One"), "1");
  EXPECT_EQ(answer.header("X-List"), "a, b");
  EXPECT_EQ(answer.header("X-Gone"), std::nullopt);
  EXPECT_EQ(answer.header("Content-Type"), "text/html");
  EXPECT_EQ(answer.body, "1\n");
  EXPECT_EQ(post("ngx.header['Content-Length'] = 2 ngx.print('ok')").header("Content-Length"), "2");
}

TEST_F(api, control) {
  EXPECT_EQ(post("ngx.exit(403)").status, 403);
  EXPECT_EQ(post("ngx.say('x') ngx.exit(200) ngx.say('never')").body, "x\n");
  EXPECT_EQ(post("pcall(ngx.exit, 404)").status, 404);
  const response away = post("return ngx.redirect('/there?x=1', 301)");
  EXPECT_EQ(away.status, 301);
  EXPECT_EQ(away.header("Location"), "/there?x=1");
  EXPECT_EQ(post("ngx.redirect('/x', 200)").status, 500);
  says({{"ngx.exec('/target', {x = 1})", "target /target x=1\n"},
        {"ngx.exec('/target?y=2', 'z=3')", "target /target y=2&z=3\n"},
        {"ngx.exec('@named')", "named /here\n"},
        {"local t = ngx.now() ngx.sleep(0.01) ngx.say(ngx.now() - t >= 0.009)", "true\n"},
        {"ngx.say(pcall(ngx.sleep, -0.0003))", "true\n"},
        {"ngx.say(pcall(ngx.sleep, -2))", "falseinvalid sleep duration \"-2000\"\n"},
        {"ngx.say(pcall(ngx.sleep, math.huge))", "falseinvalid sleep duration \"inf\"\n"},
        {"ngx.say(pcall(ngx.sleep, 1e30))", "falseinvalid sleep duration \"1e+33\"\n"},
        {"ngx.say((pcall(ngx.sleep, 0/0)))", "false\n"},
        {"ngx.say(ngx.get_phase(), ' ', ngx.is_subrequest)", "content false\n"}});
}

TEST_F(api, request) {
  says({{"ngx.say(ngx.req.get_method(), ngx.req.http_version(), ngx.req.is_internal())", "POST1.1false\n"},
        {"ngx.say(ngx.req.raw_header():match('^(.-)\\r\\n'))", "POST /here?a=1&b=two%20words&c&a=3 HTTP/1.1\n"},
        {"local h = ngx.req.get_headers() ngx.say(h.x_part[1], h['X-Part'][2])", "JulietRomeo\n"},
        {"ngx.req.set_header('X-Part', 'Nurse') ngx.say(ngx.req.get_headers()['x-part'])", "Nurse\n"},
        {"ngx.req.clear_header('X-Part') ngx.say(ngx.var.http_x_part)", "nil\n"},
        {"local a = ngx.req.get_uri_args() ngx.say(a.a[1], a.a[2], a.b, tostring(a.c))", "13two wordstrue\n"},
        {"ngx.req.set_uri_args({x = 'y z'}) ngx.say(ngx.var.args)", "x=y%20z\n"},
        {"ngx.req.set_uri('/other') ngx.say(ngx.var.uri)", "/other\n"},
        {"ngx.req.set_method(ngx.HTTP_PUT) ngx.say(ngx.req.get_method())", "PUT\n"},
        {"ngx.say(#ngx.req.get_body_data(), ngx.req.get_body_file())", "58nil\n"},
        {"ngx.req.set_body_data('a=1&b=2') local p = ngx.req.get_post_args() ngx.say(p.a, p.b)", "12\n"},
        {"ngx.req.init_body(10) ngx.req.append_body('ab') ngx.req.append_body('cd') ngx.req.finish_body() ngx.say(ngx.req.get_body_data())", "abcd\n"},
        {"ngx.req.discard_body() ngx.say('ok')", "ok\n"},
        {"ngx.say(ngx.req.start_time() <= ngx.now())", "true\n"},
        {"local h, e = ngx.req.get_headers(1) ngx.say(e)", "truncated\n"}});
}

TEST_F(api, variables_and_context) {
  says({{"ngx.say(ngx.var.uri, ngx.var.arg_a, ngx.var.cup, ngx.var.nothing)", "/here1teanil\n"},
        {"ngx.var.cup = 'coffee' ngx.say(ngx.var.cup)", "coffee\n"},
        {"local _, e = pcall(function() ngx.var.uri_of_nobody = 1 end) ngx.say((e:gsub('^.-: ', '')))",
         "variable \"uri_of_nobody\" not found for writing; maybe it is a built-in variable that is not changeable or you forgot to use \"set $uri_of_nobody '';\" in the config file to define it first\n"},
        {"ngx.say(ngx.var.request_method, ngx.var.scheme, ngx.var.host, ngx.var.server_name)", "POSThttp127.0.0.1stage.test\n"},
        {"ngx.say(ngx.var.remote_addr, ngx.var.server_protocol, ngx.var.http_x_part)", "127.0.0.1HTTP/1.1Juliet\n"},
        {"ngx.ctx.a = 1 ngx.say(ngx.ctx.a, ngx.ctx.b)", "1nil\n"},
        {"ngx.say(tostring(ngx.ctx.a))", "nil\n"}});
}

TEST_F(api, groups_of_an_expression_that_took_no_part_are_false_wherever_they_stand) {
  says({{"local m = ngx.re.match('ac', '(x)?a(b)?(c)(d)?', 'jo') ngx.say(tostring(m[1]), tostring(m[2]), m[3], tostring(m[4]))",
         "falsefalsecfalse\n"},
        {"ngx.say(tostring(ngx.re.find('ac', 'a(b)?(c)', 'jo', nil, 1)))", "nil\n"},
        {"local m = ngx.re.match('ac', 'a(?<b>b)?(c)') ngx.say(tostring(m.b))", "false\n"},
        {"ngx.say((ngx.re.gsub('ac', 'a(b)?(c)', function(m) return tostring(m[1]) .. m[2] end)))", "falsec\n"},
        {"ngx.say((ngx.re.gsub('ac', 'a(b)?(c)', '[$1][$2]')))", "[][c]\n"}});
}

TEST_F(api, time_text_and_digests) {
  says({{"ngx.say(ngx.http_time(1290079655), ' ', ngx.cookie_time(1290079655))", "Thu, 18 Nov 2010 11:27:35 GMT Thu, 18-Nov-10 11:27:35 GMT\n"},
        {"ngx.say(ngx.parse_http_time('Thu, 18 Nov 2010 11:27:35 GMT'))", "1290079655\n"},
        {"ngx.say(#ngx.today(), #ngx.localtime(), #ngx.utctime(), ngx.time() > 0) ngx.update_time()", "101919true\n"},
        {"ngx.say(ngx.escape_uri('a b/c'), ngx.unescape_uri('a%20b+c'))", "a%20b%2Fca b c\n"},
        {"ngx.say(ngx.encode_args({a = 'b c'}), ngx.decode_args('x=1&y').x)", "a=b%20c1\n"},
        {"ngx.say(ngx.encode_base64('hello'), ngx.decode_base64('aGVsbG8='))", "aGVsbG8=hello\n"},
        {"ngx.say(ngx.md5('hello'))", "5d41402abc4b2a76b9719d911017c592\n"},
        {"ngx.say(ngx.encode_base64(ngx.sha1_bin('hello')), #ngx.md5_bin('x'), #ngx.hmac_sha1('k', 'v'))", "qvTGHdzF6KLavt4PO0gs2a6pQ00=1620\n"},
        {"ngx.say(ngx.crc32_short('hello'), ngx.crc32_long('hello'))", "907060870907060870\n"},
        {"ngx.say(ngx.quote_sql_str([[it's]]))", "'it\\'s'\n"},
        {"ngx.say(ngx.null == nil, tostring(ngx.null), ngx.OK, ngx.ERROR, ngx.HTTP_NOT_FOUND, ngx.WARN)", "falseuserdata: NULL0-14045\n"}});
}

TEST_F(api, regular_expressions) {
  says({{"local m = ngx.re.match('hello, 1234', '([a-z]+), (?<n>\\\\d)') ngx.say(m[0], m[1], m.n)", "hello, 1hello1\n"},
        {"ngx.say(ngx.re.find('say 42', '\\\\d+', 'jo'))", "56\n"},
        {"for m in ngx.re.gmatch('a1b2', '[a-z]\\\\d') do ngx.print(m[0], ' ') end", "a1 b2 "},
        {"ngx.say(ngx.re.sub('a-b-c', '-', '+'))", "a+b-c1\n"},
        {"ngx.say(ngx.re.gsub('hello', 'l', function(m) return '<' .. m[0] .. '>' end))", "he<l><l>o2\n"},
        {"ngx.say(ngx.re.gsub('ab', '(a)(b)', '$2$1'))", "ba1\n"},
        {"local m, e = ngx.re.match('x', '(') ngx.say(m, e ~= nil)", "niltrue\n"},
        {"ngx.say(table.concat(require('ngx.re').split('a,b,,c', ','), '|'))", "a|b||c\n"}});
}

TEST_F(api, shared_dictionaries) {
  says({{"local d = ngx.shared.dict ngx.say(d:set('k', 'v')) ngx.say(d:get('k'))", "truenilfalse\nv\n"},
        {"local d = ngx.shared.dict ngx.say(d:add('k', 1)) ngx.say(d:delete('k')) ngx.say(d:get('k'))", "falseexistsfalse\ntruenilfalse\nnil\n"},
        {"local d = ngx.shared.dict ngx.say(d:incr('n', 1)) ngx.say((d:incr('n', 5, 10))) ngx.say(d:get('n'))", "nilnot found\n15\n15\n"},
        {"local d = ngx.shared.dict d:set('t', 1, 0.001) ngx.sleep(0.005) ngx.say(d:get('t'))", "nil\n"}});
}

TEST_F(api, coroutines_threads_and_modules) {
  says({{"local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) ngx.say(co(1), co(5))", "210\n"},
        {"local co = coroutine.create(function() ngx.sleep(0.001) coroutine.yield('y') end) ngx.say(coroutine.resume(co)) ngx.say(coroutine.status(co))", "truey\nsuspended\n"},
        {"local co = coroutine.create(function() error('oops', 0) end) ngx.say(coroutine.resume(co))", "falseoops\n"},
        {"local t = ngx.thread.spawn(function(a) ngx.sleep(0.001) return a, 2 end, 1) ngx.say(ngx.thread.wait(t))", "true12\n"},
        {"local t = ngx.thread.spawn(function() ngx.sleep(30) end) ngx.say(ngx.thread.kill(t))", "1\n"},
        {"local part = require 'part' ngx.say(part.name, part.line, require('part') == part)", "Nurseparttrue\n"},
        {"local ok, e = pcall(require, 'absent') ngx.say(ok, e:match('^module .- not found'))", "falsemodule 'absent' not found\n"},
        {"ngx.say(require('cjson').encode({1, 2}))", "[1,2]\n"},
        {"ngx.say(require('ngx') == ngx, type(require('resty.core')), ngx.config.subsystem)", "truetablehttp\n"}});
}

TEST_F(api, log_and_errors) {
  EXPECT_EQ(post("ngx.log(ngx.WARN, 'a', 1, nil, true) print('p')").status, 200);
  EXPECT_TRUE(node_.logs("a1niltrue, client: 127.0.0.1"));
  EXPECT_EQ(post("local function inner() error('alas') end inner()").status, 500);
  EXPECT_TRUE(node_.logs("lua entry thread aborted: runtime error:"));
  EXPECT_TRUE(node_.logs("request: \"POST /here?a=1 HTTP/1.1\""));
  EXPECT_EQ(post("ngx.say('half') ngx.flush(true) error('late')").body, "half\n");
  EXPECT_EQ(post("ngx.say('well')").body, "well\n");
}

}  // namespace troupe::tests
