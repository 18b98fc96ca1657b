// SPDX-License-Identifier: Apache-2.0
#include "runtime/stored_blobs.hpp"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace troupe {
namespace {

using cluster::digest;
using std::chrono::seconds;

class contents : public testing::Test {
 protected:
  static constexpr auto later = stored_blobs::grace + seconds(1);

  tests::temp_dir data_;
  cluster::blob_store store_ = *cluster::blob_store::open(data_.path() / "store");
  stored_blobs blobs_{store_};
  stored_blobs::clock::time_point now_ = stored_blobs::clock::now();
};

TEST_F(contents, are_those_of_the_store) {
  const digest name = digest::of("content");
  EXPECT_FALSE(blobs_.has(name));
  EXPECT_EQ(blobs_.get(name).error().errc, cluster::refusal_errc::missing);
  EXPECT_EQ(blobs_.put(name, "another").error().errc, cluster::refusal_errc::damaged);
  ASSERT_TRUE(blobs_.put(name, "content"));
  ASSERT_TRUE(blobs_.flush());
  EXPECT_TRUE(blobs_.has(name));
  EXPECT_EQ(*store_.get(name), "content");
}

TEST_F(contents, that_came_stay_for_the_order_that_refers_to_them) {
  ASSERT_TRUE(blobs_.put(digest::of("content"), "content"));
  EXPECT_FALSE(blobs_.may_sweep(now_ + seconds(1)));
  EXPECT_FALSE(store_.free_moment());
  EXPECT_TRUE(blobs_.may_sweep(now_ + later));
  EXPECT_TRUE(store_.free_moment());
}

// Who asks for them before a push does not send them.
TEST_F(contents, that_were_said_to_be_here_stay_too) {
  ASSERT_TRUE(blobs_.put(digest::of("content"), "content"));
  ASSERT_TRUE(blobs_.may_sweep(now_ + later));
  const auto since = store_.free_moment();
  ASSERT_TRUE(since);
  EXPECT_FALSE(blobs_.keeps(digest::of("another")));
  EXPECT_TRUE(blobs_.may_sweep(now_ + later)) << "nobody was told of a content";
  EXPECT_TRUE(blobs_.keeps(digest::of("content")));
  ASSERT_TRUE(store_.sweep({}, since));
  EXPECT_TRUE(blobs_.has(digest::of("content")));
  EXPECT_FALSE(blobs_.may_sweep(now_ + seconds(1)));
}

}  // namespace
}  // namespace troupe
