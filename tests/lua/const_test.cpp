// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include "net/version.hpp"
#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

class constants : public testing::Test {
 protected:
  std::string run(const std::string& code) { return lua_.run(code); }
  api_state lua_{&core_area, &const_area};
};

TEST_F(constants, are_those_of_ngx_lua) {
  EXPECT_EQ(run("return ngx.OK, ngx.ERROR, ngx.AGAIN, ngx.DONE, ngx.DECLINED"),
            "0, -1, -2, -4, -5");
  EXPECT_EQ(run("return ngx.HTTP_GET, ngx.HTTP_HEAD, ngx.HTTP_POST, ngx.HTTP_PUT, ngx.HTTP_DELETE"),
            "2, 4, 8, 16, 32");
  EXPECT_EQ(run("return ngx.HTTP_OPTIONS, ngx.HTTP_LOCK, ngx.HTTP_PATCH, ngx.HTTP_TRACE"),
            "512, 4096, 16384, 32768");
  EXPECT_EQ(run("return ngx.HTTP_OK, ngx.HTTP_GATEWAY_TIMEOUT, ngx.HTTP_METHOD_NOT_IMPLEMENTED"),
            "200, 504, 501");
  EXPECT_EQ(run("return ngx.STDERR, ngx.ERR, ngx.WARN, ngx.DEBUG"), "0, 4, 5, 8");
}

TEST_F(constants, tell_what_server_this_is) {
  EXPECT_EQ(run("return ngx.config.subsystem, ngx.config.debug"), "http, false");
  EXPECT_EQ(run("return ngx.config.nginx_version"), std::to_string(net::nginx_version));
  EXPECT_EQ(run("return ngx.config.ngx_lua_version"), std::to_string(net::ngx_lua_version));
  EXPECT_EQ(run("return ngx.config.nginx_configure():find('^%-%-[^-]+') ~= nil"), "true");
}

TEST_F(constants, tell_the_worker) {
  EXPECT_EQ(run("return ngx.worker.pid()"), std::to_string(::getpid()));
  EXPECT_EQ(run("return ngx.worker.id(), ngx.worker.count(), ngx.worker.exiting()"), "0, 1, false");
  EXPECT_EQ(run("return ngx.worker.pids()"), "nil, API disabled in the current context");
}

}  // namespace
}  // namespace troupe::lua
