// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_cluster.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

constexpr std::string_view announced = "listening on ";
constexpr std::string_view app_port = "8080";  // Of each machine of a network of its own.

}  // namespace

test_cluster::test_cluster(options how) : how_(std::move(how)) {
  if (how_.has_keys) {
    const finished made = run_troupe({"keys", "init", "--keys", keys()});
    EXPECT_EQ(made.status, 0) << made.err;
  }
  for (unsigned i = 0; i < how_.nodes; ++i) start(std::string(1, static_cast<char>('a' + i)));
}

std::string test_cluster::address() const {
  return how_.network != nullptr ? how_.network->address("a") + ":7000"
                                 : "127.0.0.1:" + std::to_string(ports_.number());
}

std::string test_cluster::data(const std::string& name) const {
  return (folder_.path() / "nodes" / name).string();
}

void test_cluster::start(const std::string& name, std::vector<std::string> more) {
  std::error_code ignored;
  std::filesystem::create_directories(folder_.path() / "nodes", ignored);
  std::vector<std::string> words{binary_under_test(), "node", "--name",   name, "--data", data(name),
                                 "--keys",            keys(), "--shards", "1",  "--port"};
  words.emplace_back(how_.network != nullptr ? app_port : "0");
  if (name == "a")
    words.insert(words.end(), {"--controller", "--listen", address()});
  else if (const auto own = how_.joins.find(name); own != how_.joins.end())
    for (const std::string& upper : own->second) {
      words.insert(words.end(), {"--join", upper == "a" ? address() : upper});
    }
  else
    words.insert(words.end(), {"--join", address()});
  if (const auto own = how_.flags.find(name); own != how_.flags.end()) {
    words.insert(words.end(), own->second.begin(), own->second.end());
  }
  words.insert(words.end(), more.begin(), more.end());
  if (const auto own = launchers_.find(name); own != launchers_.end()) {
    words.insert(words.begin(), own->second.begin(), own->second.end());
  }
  if (how_.network != nullptr) words = how_.network->on(name, std::move(words));
  nodes_[name] = std::make_unique<process>(std::move(words));
  const bool runs = nodes_[name]->wait_for([&](const std::string& out, const std::string&) {
    return out.find("node " + name) != std::string::npos;
  });
  if (!runs) ADD_FAILURE() << "node " << name << " did not start:\n" << nodes_[name]->err();
}

int test_cluster::stop(const std::string& name, int signal) {
  nodes_.at(name)->signal(signal);
  return nodes_.at(name)->wait();
}

std::string test_cluster::app(const std::string& name, const std::string& word) const {
  return app_with(name, "server { listen 8080; location / { content_by_lua_block { ngx.say('" + word +
                            "') } } }");
}

std::string test_cluster::app_with(const std::string& name, const std::string& http) const {
  folder_.write("apps/" + name + "/nginx.conf", "events {}\nhttp {\n" + http + "\n}\n");
  return (folder_.path() / "apps" / name).string();
}

finished test_cluster::ask(std::vector<std::string> words, const std::string& by) const {
  words.insert(words.end(), {"--node", data(by), "--keys", keys()});
  return run_troupe(std::move(words));
}

nlohmann::json test_cluster::ask_json(std::vector<std::string> words, int status,
                                      const std::string& by) const {
  words.emplace_back("--json");
  const finished done = ask(std::move(words), by);
  EXPECT_EQ(done.status, status) << done.out << done.err;
  return nlohmann::json::parse(done.out, nullptr, false);
}

std::vector<endpoint> test_cluster::listeners(const std::string& name) const {
  std::vector<endpoint> found;
  const std::string out = nodes_.at(name)->out();
  for (std::size_t at = out.find(announced); at != std::string::npos;
       at = out.find(announced, at + 1)) {
    const auto end = out.find_first_of(" \n", at + announced.size());
    if (end == std::string::npos) break;
    const auto begin = at + announced.size();
    found.push_back(endpoint::of(std::string_view(out).substr(begin, end - begin)));
  }
  return found;
}

std::string test_cluster::get(const std::string& name, std::string_view path) const {
  if (how_.network != nullptr) {
    const std::string url = "http://127.0.0.1:" + std::string(app_port) + std::string(path);
    return run(how_.network->on(name, {"curl", "-s", "--max-time", "20", url})).out;
  }
  const auto all = listeners(name);
  return all.empty() ? std::string() : test_client(all.back()).get(path).body;
}

bool test_cluster::is_level(std::size_t live, const std::string& by) const {
  const auto all = nlohmann::json::parse(ask({"nodes", "--json"}, by).out, nullptr, false);
  if (!all.is_array()) return false;
  std::size_t count = 0;
  std::size_t controllers = 0;
  std::set<std::string> places;
  for (const nlohmann::json& each : all) {
    if (each["live"] != true) continue;
    ++count;
    if (each["behind"] != 0) return false;
    if (each["role"] == "controller") ++controllers;
    places.insert(each["epoch"].dump() + ' ' + each["seq"].dump());
  }
  return count == live && places.size() == 1 && controllers == 1;
}

nlohmann::json test_cluster::shown(const std::string& name, const std::string& by) const {
  const auto all = nlohmann::json::parse(ask({"nodes", "--json"}, by).out, nullptr, false);
  if (!all.is_array()) return {};
  for (const nlohmann::json& each : all) {
    if (each["name"] == name) return each;
  }
  return {};
}

bool test_cluster::comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace troupe::tests
