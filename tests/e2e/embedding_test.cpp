// SPDX-License-Identifier: Apache-2.0
//
// examples/embedding: a program of its own with a node inside.
#include <gtest/gtest.h>

#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {

TEST(embedding, a_program_serves_with_a_stage_and_a_directive_of_its_own) {
  const free_port port;
  const auto program = std::filesystem::path(binary_under_test()).parent_path() / "embedding_example";
  process service({program.string(), (source_folder() / "examples/embedding").string(),
                   std::to_string(port.number())});
  ASSERT_TRUE(service.wait_for(
      [](const std::string& out, const std::string&) { return out.ends_with("\n"); }))
      << service.err();
  test_client client(endpoint{.port = port.number()});
  EXPECT_EQ(client.get("/").status, 403);
  const response applause = client.get("/?ticket=1");
  EXPECT_EQ(applause.status, 200);
  EXPECT_EQ(applause.body, "clap\nclap\nclap\n");
  EXPECT_EQ(applause.header("X-Seen-By"), "Lua");
  service.signal(SIGTERM);
  EXPECT_EQ(service.wait(), 0);
}

TEST(embedding, a_bad_argument_of_its_directive_is_refused_with_its_place) {
  const temp_dir folder;
  folder.write("nginx.conf", "server {\n  listen 127.0.0.1:0;\n  location / { applause loud; }\n}\n");
  const auto program = std::filesystem::path(binary_under_test()).parent_path() / "embedding_example";
  const finished ended = run({program.string(), folder.path().string()});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.err.find("nginx.conf:3"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("applause"), std::string::npos) << ended.err;
}

}  // namespace troupe::tests
