// SPDX-License-Identifier: Apache-2.0
#include "cluster/stored_blobs.hpp"

#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

TEST(stored_blobs, are_those_of_the_store) {
  const tests::temp_dir data;
  auto store = blob_store::open(data.path() / "store");
  ASSERT_TRUE(store);
  stored_blobs blobs(*store);
  const digest name = digest::of("content");
  EXPECT_FALSE(blobs.has(name));
  EXPECT_EQ(blobs.get(name).error().errc, refusal_errc::missing);
  EXPECT_EQ(blobs.put(name, "another").error().errc, refusal_errc::damaged);
  EXPECT_FALSE(blobs.has(name));
  ASSERT_TRUE(blobs.put(name, "content"));
  ASSERT_TRUE(blobs.flush());
  EXPECT_TRUE(blobs.has(name));
  EXPECT_EQ(*blobs.get(name), "content");
  EXPECT_EQ(*store->get(name), "content");
}

}  // namespace
}  // namespace troupe::cluster
