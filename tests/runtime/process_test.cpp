// SPDX-License-Identifier: Apache-2.0
#include "runtime/process.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {
namespace {

using tests::temp_dir;

// In a process of its own, for what apply() changes stays.
template <typename Body>
bool holds_in_a_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(process, only_what_env_names_stays_in_the_environment) {
  EXPECT_TRUE(holds_in_a_child([] {
    setenv("TROUPE_TEST_KEPT", "a value", 1);
    setenv("TROUPE_TEST_GONE", "x", 1);
    setenv("TZ", "UTC", 1);
    process_settings settings;
    settings.environment = {
        {"TROUPE_TEST_KEPT", {}}, {"TROUPE_TEST_ABSENT", {}}, {"TROUPE_TEST_SET", "b=c"}};
    return apply(settings) && getenv("TROUPE_TEST_KEPT") == std::string("a value") &&
           getenv("TROUPE_TEST_SET") == std::string("b=c") && getenv("TZ") != nullptr &&
           getenv("TROUPE_TEST_GONE") == nullptr && getenv("TROUPE_TEST_ABSENT") == nullptr;
  }));
}

TEST(process, worker_rlimit_nofile_is_the_limit) {
  EXPECT_TRUE(holds_in_a_child([] {
    process_settings settings;
    settings.open_files = 200;
    rlimit limit{};
    return apply(settings) && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 200;
  }));
}

TEST(process, without_it_as_many_files_as_allowed) {
  EXPECT_TRUE(holds_in_a_child([] {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    return apply({}) && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           limit.rlim_cur == std::min<rlim_t>(limit.rlim_max, 1'048'576);
  }));
}

TEST(process, a_folder_that_is_not_there_is_an_error_in_nginx_s_words) {
  EXPECT_TRUE(holds_in_a_child([] {
    process_settings settings;
    settings.working_directory = "/nowhere/at/all";
    auto applied = apply(settings);
    return !applied && applied.error().reason ==
                           "chdir() \"/nowhere/at/all\" failed (2: No such file or directory)";
  }));
}

TEST(process, a_user_that_does_not_exist_is_an_error) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes its user";
  process_settings settings;
  settings.user = "no-such-user-here";
  auto dropped = drop_privileges(settings);
  ASSERT_FALSE(dropped);
  EXPECT_TRUE(dropped.error().reason.starts_with("getpwnam() \"no-such-user-here\" failed"));
}

TEST(process, root_becomes_the_user_for_good_unless_it_is_a_single_process) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes its user";
  process_settings settings;
  settings.user = "nobody";
  EXPECT_TRUE(holds_in_a_child(
      [&] { return drop_privileges(settings) && geteuid() != 0 && setuid(0) != 0; }));
  settings.master_process = false;
  EXPECT_TRUE(holds_in_a_child([&] { return drop_privileges(settings) && geteuid() == 0; }));
}

TEST(process, a_thread_s_name_is_cut_to_what_the_kernel_keeps) {
  std::string name(16, '\0');
  std::thread([&] {
    name_thread("shard-with-a-long-name");
    pthread_getname_np(pthread_self(), name.data(), name.size());
  }).join();
  EXPECT_STREQ(name.c_str(), "shard-with-a-lo");
}

}  // namespace
}  // namespace troupe
