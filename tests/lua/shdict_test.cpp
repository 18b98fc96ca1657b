// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lua/shared_dict.hpp"
#include "tests/lua/api_state.hpp"

namespace troupe::lua {
namespace {

std::int64_t shdict_fake_ms = 1000;

class ngx_shared : public testing::Test {
 protected:
  void SetUp() override {
    shdict_fake_ms = 1000;
    publish(lua_.state(), "dogs", dogs_);
    publish(lua_.state(), "cats", cats_);
  }
  std::string run(const std::string& code) {
    return lua_.run("local dogs, cats = ngx.shared.dogs, ngx.shared.cats " + code);
  }
  shared_dict dogs_{"dogs", 100 * 1024, [] { return shdict_fake_ms; }};
  shared_dict cats_{"cats", 16 * 1024, [] { return shdict_fake_ms; }};
  api_state lua_{&core_area, &shdict_area};
};

TEST_F(ngx_shared, has_the_dictionaries_by_name) {
  EXPECT_EQ(run("return type(dogs), type(ngx.shared.birds)"), "table, nil");
  EXPECT_EQ(run("dogs:set('a', 1) cats:set('a', 2) return dogs:get('a'), cats:get('a')"), "1, 2");
}

TEST_F(ngx_shared, exists_without_any_dictionary) {
  api_state bare{&core_area, &shdict_area};
  EXPECT_EQ(bare.run("return type(ngx.shared), ngx.shared.dogs"), "table, nil");
}

TEST_F(ngx_shared, gives_back_values_of_any_kind) {
  EXPECT_EQ(run("return dogs:set('a', 'words')"), "true, nil, false");
  EXPECT_EQ(run("return dogs:get('a')"), "words");
  EXPECT_EQ(run("dogs:set('a', 3.5) return dogs:get('a'), type(dogs:get('a'))"), "3.5, number");
  EXPECT_EQ(run("dogs:set('a', false) return dogs:get('a')"), "false");
  EXPECT_EQ(run("dogs:set('a', 'x', 0, 7) return dogs:get('a')"), "x, 7");
  EXPECT_EQ(run("return dogs:get('absent')"), "nil");
  EXPECT_EQ(run("dogs:set('a', {}) "), "");
  EXPECT_EQ(run("return dogs:set('a', {})"), "nil, bad value type");
  EXPECT_EQ(run("dogs:set('a', nil) return dogs:get('a')"), "nil");
  EXPECT_EQ(run("dogs:set('a', 1) return dogs:delete('a'), dogs:get('a')"), "true, nil");
  EXPECT_EQ(run("local s = ('x'):rep(50000) dogs:set('a', s) return dogs:get('a') == s"), "true");
}

TEST_F(ngx_shared, checks_keys) {
  EXPECT_EQ(run("return dogs:get(nil)"), "nil, nil key");
  EXPECT_EQ(run("return dogs:set('', 1)"), "nil, empty key");
  EXPECT_EQ(run("return dogs:incr(('k'):rep(65536), 1)"), "nil, key too long");
  EXPECT_EQ(run("dogs:set(5, 'five') return dogs:get('5'), dogs:get(5)"), "five, five");
  EXPECT_EQ(run("dogs:set(true, 'yes') return dogs:get('true')"), "yes");
}

TEST_F(ngx_shared, checks_what_it_is_called_on) {
  for (const char* self : {"{}", "'text'", "nil", "{ 1 }", "ngx.null", "{ ngx.null }"}) {
    EXPECT_EQ(run("return pcall(dogs.get, " + std::string(self) + ", 'a')"),
              "false, bad \"zone\" argument")
        << self;
  }
  EXPECT_EQ(run("dogs.set({}, 'a', 1)"), "raised: test:1: bad \"zone\" argument");
  EXPECT_EQ(run("dogs.ttl({}, 'a')"), "raised: test:1: bad \"zone\" argument");
}

TEST_F(ngx_shared, adds_and_replaces) {
  EXPECT_EQ(run("return dogs:replace('a', 1)"), "false, not found, false");
  EXPECT_EQ(run("return dogs:add('a', 1)"), "true, nil, false");
  EXPECT_EQ(run("return dogs:add('a', 1)"), "false, exists, false");
  EXPECT_EQ(run("return dogs:replace('a', 2)"), "true, nil, false");
  EXPECT_EQ(run("return dogs:safe_add('a', 1)"), "false, exists, false");
  EXPECT_EQ(run("return dogs:add('a', nil)"), "false, attempt to add or replace nil values, false");
}

TEST_F(ngx_shared, tells_what_it_lost_and_what_found_no_room) {
  EXPECT_EQ(run("return dogs:set('a', ('x'):rep(200000))"), "false, no memory, false");
  EXPECT_EQ(run("dogs:set('b', 1) return dogs:set('a', ('x'):rep(200000))"),
            "false, no memory, true");
  EXPECT_EQ(run("for i = 1, 63 do assert(cats:safe_set('key' .. i, 'value')) end "
                "return cats:safe_set('one more', 1)"),
            "false, no memory, false");
  EXPECT_EQ(run("return cats:set('one more', 1)"), "true, nil, true");
}

TEST_F(ngx_shared, counts) {
  EXPECT_EQ(run("return dogs:incr('n', 1)"), "nil, not found");
  EXPECT_EQ(run("return dogs:incr('n', 1, 10)"), "11, nil, false");
  EXPECT_EQ(run("return dogs:incr('n', 2)"), "13");
  EXPECT_EQ(run("return dogs:incr('n', '2', '5')"), "15, nil, false");
  EXPECT_EQ(run("dogs:set('s', '1') return dogs:incr('s', 1)"), "nil, not a number");
  EXPECT_EQ(run("dogs:incr('n', 'x')"), "raised: test:1: cannot convert 'nil' to 'double'");
  EXPECT_EQ(run("return pcall(dogs.incr, dogs, 'n', 1, 'x')"),
            "false, bad init arg: number expected, got string");
  EXPECT_EQ(run("return pcall(dogs.incr, dogs, 'n', 1, 0, {})"),
            "false, bad init_ttl arg: number expected, got table");
  EXPECT_EQ(run("return pcall(dogs.incr, dogs, 'n', 1, 0, -1)"),
            "false, bad \"init_ttl\" argument");
  EXPECT_EQ(run("return pcall(dogs.incr, dogs, 'n', 1, nil, 1)"),
            "false, must provide \"init\" when providing \"init_ttl\"");
  EXPECT_EQ(run("dogs:incr('m', 1, 0, 0.5) return dogs:ttl('m')"), "0.5");
}

TEST_F(ngx_shared, knows_lives) {
  EXPECT_EQ(run("dogs:set('a', 1, 0.1) dogs:set('b', 2) return dogs:ttl('a'), dogs:ttl('b')"),
            "0.1, 0");
  shdict_fake_ms += 100;
  EXPECT_EQ(run("return dogs:get_stale('a')"), "1, nil, true");
  EXPECT_EQ(run("return dogs:get_stale('b')"), "2, nil, false");
  EXPECT_EQ(run("return dogs:get_stale('c')"), "nil");
  EXPECT_EQ(run("return dogs:ttl('a')"), "-0.001");
  EXPECT_EQ(run("return dogs:get('a')"), "nil");
  EXPECT_EQ(run("return dogs:ttl('a')"), "nil, not found");
  EXPECT_EQ(run("return dogs:expire('a', 1)"), "nil, not found");
  EXPECT_EQ(run("return dogs:expire('b', 1.5), dogs:ttl('b')"), "true, 1.5");
  EXPECT_EQ(run("dogs:set('c', 1, 2^31) return dogs:ttl('c')"), "2147483648");
  EXPECT_EQ(run("dogs:set('a', 1, -1)"), "raised: test:1: bad \"exptime\" argument");
  EXPECT_EQ(run("return pcall(dogs.expire, dogs, 'b')"), "false, bad \"exptime\" argument");
}

TEST_F(ngx_shared, flushes_and_lists_keys) {
  EXPECT_EQ(run("for i = 1, 5 do dogs:set(i, i) end return table.concat(dogs:get_keys(), ' ')"),
            "1 2 3 4 5");
  EXPECT_EQ(run("return #dogs:get_keys(2), #dogs:get_keys(0), #cats:get_keys()"), "2, 5, 0");
  EXPECT_EQ(run("dogs:flush_all() return #dogs:get_keys()"), "0");
  EXPECT_EQ(run("for i = 1, 5 do dogs:set(i, i, 0.01) end return dogs:flush_expired()"), "0");
  shdict_fake_ms += 10;
  EXPECT_EQ(run("return dogs:flush_expired(2), dogs:flush_expired()"), "2, 3");
}

TEST_F(ngx_shared, lists_up_to_1024_keys_unless_told) {
  EXPECT_EQ(run("for i = 1, 400 do dogs:set('key' .. i, 1) end return #dogs:get_keys(-1)"), "400");
  shared_dict large("large", 1 << 20, [] { return shdict_fake_ms; });
  publish(lua_.state(), "large", large);
  EXPECT_EQ(run("local d = ngx.shared.large for i = 1, 2000 do d:set(i, i) end "
                "return #d:get_keys(), #d:get_keys(0)"),
            "1024, 2000");
}

TEST_F(ngx_shared, has_lists) {
  EXPECT_EQ(run("return dogs:lpush('l', 'b'), dogs:lpush('l', 1), dogs:rpush('l', 'c')"),
            "1, 2, 3");
  EXPECT_EQ(run("return dogs:llen('l'), dogs:lpop('l'), dogs:rpop('l'), dogs:llen('l')"),
            "3, 1, c, 1");
  EXPECT_EQ(run("return dogs:get('l')"), "nil, value is a list");
  EXPECT_EQ(run("return dogs:get_stale('l')"), "nil, value is a list");
  EXPECT_EQ(run("return dogs:lpop('l'), dogs:lpop('l'), dogs:llen('l')"), "b, nil, 0");
  EXPECT_EQ(run("dogs:set('a', 1) return dogs:lpush('a', 1)"), "nil, value not a list");
  EXPECT_EQ(run("return dogs:lpop('a')"), "nil, value not a list");
  EXPECT_EQ(run("return dogs:llen('a')"), "nil, value not a list");
  EXPECT_EQ(run("return dogs:rpush('l', {})"), "nil, bad value type");
  EXPECT_EQ(run("return dogs:rpush(nil, 1)"), "nil, nil key");
  EXPECT_EQ(run("return dogs:lpush('l', ('x'):rep(200000))"), "nil, no memory");
  EXPECT_EQ(run("local s = ('x'):rep(30000) dogs:lpush('l', s) return dogs:rpop('l') == s"),
            "true");
}

TEST_F(ngx_shared, counts_the_arguments_of_the_list_methods) {
  EXPECT_EQ(run("dogs:lpush('l')"), "raised: test:1: expecting 3 arguments, but only seen 2");
  EXPECT_EQ(run("dogs:rpop()"), "raised: test:1: expecting 2 arguments, but only seen 1");
  EXPECT_EQ(run("dogs:llen('l', 1)"), "raised: test:1: expecting 2 arguments, but only seen 3");
  EXPECT_EQ(run("dogs:lpush({}, 1)"),
            "raised: test:1: bad argument #1 to 'lpush' (string expected, got table)");
}

TEST_F(ngx_shared, tells_its_size) {
  EXPECT_EQ(run("return dogs:capacity(), dogs:free_space()"), "102400, 90112");
  EXPECT_EQ(run("return cats:capacity(), cats:free_space()"), "16384, 4096");
}

TEST_F(ngx_shared, has_nothing_but_its_methods) {
  EXPECT_EQ(run("local n = 0 for _ in pairs(dogs.__index) do n = n + 1 end return n"), "22");
}

TEST_F(ngx_shared, is_compiled) {
  const std::string loop = "local d = ngx.shared.dogs for i = 1, 300 do ";
  EXPECT_GE(lua_.traces(loop + "d:incr('n', 1, 0) end"), 1);
  EXPECT_GE(lua_.traces(loop + "d:set('a', 'text') end"), 1);
  EXPECT_GE(lua_.traces(loop + "d:get('a') end"), 1);
  EXPECT_GE(lua_.traces(loop + "d:set('b', i, 1) end"), 1);
  EXPECT_GE(lua_.traces(loop + "d:rpush('l', i) d:lpop('l') end"), 1);
}

}  // namespace
}  // namespace troupe::lua
