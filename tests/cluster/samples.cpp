// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/samples.hpp"

#include "tests/support/temp_dir.hpp"

#include <cstdlib>

namespace troupe::cluster {
namespace {

using std::chrono::milliseconds;

push_policy sample_policy() {
  return {.require_percent = 90,
          .prepare_deadline = milliseconds(7'000),
          .canary_percent = 20,
          .canary_watch = milliseconds(60'000),
          .stop_if = "errors>1%"};
}

position sample_position() {
  return {.epoch = 3, .seq = 70'000, .state = digest::of("state")};
}

node_report sample_report() {
  return {.name = "b",
          .role = "relay",
          .version = "0.1.0",
          .address = "10.0.0.2:7000",
          .serves = "http://10.0.0.2:8080",
          .labels = {{"tier", "web"}, {"zone", "eu"}},
          .at = sample_position(),
          .active = {{"default", 42}, {"shop", 7}},
          .problem = "the disk is full",
          .requests_per_second = 1234.5,
          .errors_per_second = 0.25,
          .heard = sample_time(3)};
}

signed_order sample_signed() {
  return {.bytes = sample_order(abort_order{.push = sample_id(9), .reason = "b: no"}).encode(),
          .signer = sample_key(5),
          .signature = std::string(64, 's')};
}

}  // namespace

wall_time sample_time(std::int64_t later_ms) {
  return wall_time(milliseconds(1'767'323'045'678 + later_ms));
}

order_id sample_id(std::uint8_t first) {
  order_id result;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::uint8_t>(first + i);
  return result;
}

public_key sample_key(std::uint8_t first) {
  public_key result;
  for (std::size_t i = 0; i < result.bytes.size(); ++i) {
    result.bytes[i] = static_cast<std::uint8_t>(first + 3 * i);
  }
  return result;
}

selector sample_selector() {
  return {.labels = {{"zone", "eu"}}, .percent = 30, .salt = "salt"};
}

order sample_order(order_body body) {
  return {.id = sample_id(1),
          .app = "shop",
          .author = "ann@example",
          .message = "new checkout",
          .time = sample_time(),
          .expires = sample_time(60'000),
          .body = std::move(body)};
}

std::vector<order> sample_orders() {
  const std::string curve = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
  return {
      sample_order(release_order{.manifest = digest::of("manifest"),
                                 .manifest_bytes = 1'000,
                                 .expect = 41,
                                 .to = sample_selector(),
                                 .policy = sample_policy()}),
      sample_order(rollback_order{
          .release = 40, .expect = 300, .to = sample_selector(), .policy = sample_policy()}),
      sample_order(config_order{.key = "limits.rate",
                                .value = std::string("\0\xff"
                                                     "500",
                                                     5),
                                .scope = sample_selector(),
                                .previous = 1ull << 40}),
      sample_order(trust_order{.does = trust_order::what::add_token,
                               .key = sample_key(1),
                               .roles = 6,
                               .name = "build server",
                               .token = curve,
                               .token_ends = sample_time(3'600'000),
                               .may_lead = true}),
      sample_order(member_order{.name = "b",
                                .curve = curve,
                                .signing = sample_key(2),
                                .address = "10.0.0.2:7000",
                                .may_lead = true,
                                .removed = true,
                                .grant = sample_signed().encode()}),
      sample_order(promote_order{.node = "b", .epoch = 4}),
      sample_order(activate_order{.push = sample_id(9), .release = 42, .to = sample_selector()}),
      sample_order(abort_order{.push = sample_id(9), .reason = "c: lua/a.lua:3: no"}),
      sample_order(checkpoint_order{.state = digest::of("snapshot")}),
  };
}

change sample_change() {
  return {.epoch = 3,
          .seq = 70'001,
          .parent = digest::of("state"),
          .time = sample_time(),
          .ordered = sample_signed(),
          .release = 42};
}

std::vector<message> sample_messages() {
  const digest name = digest::of("content");
  return {
      announcement{sample_change(), {{name, "frame"}, {digest::of("other"), "frame 2"}}},
      beacon{sample_position(), sample_time(), "a", std::string(64, 'b')},
      welcome{sample_position()},
      topic_message{"news", "b", std::string("\0\xfe", 2)},
      hello{1, sample_report()},
      hello_answer{1, sample_position(), "a"},
      beat{{sample_report(), sample_report()}},
      fetch_changes{2, sample_position()},
      changes{2, {sample_change(), sample_change()}, sample_position(), true},
      fetch_snapshot{3, 262'144, digest::of("snapshot")},
      snapshot_piece{3, digest::of("snapshot"), 262'144, 300'000, "piece"},
      fetch_blob{4, name, 5'000'000'000},
      blob_piece{4, name, 262'144, 300'000, "piece", true},
      fetch_blobs{{{4, name, 5'000'000'000}, {5, name, 0}}},
      blob_pieces{{{4, name, 262'144, 300'000, "piece", false}, {5, name, 0, 0, {}, true}}},
      acknowledgements{{{"b", sample_id(9), ack_step::refused, 70'001, "no", 12.5},
                        {"c", sample_id(9), ack_step::applied, 70'001, "", 0.5}}},
      repeat{sample_change()},
      missing_blobs{5, {name, digest::of("other")}},
      missing_answer{5, {name}},
      put_blob{6, name, 262'144, 300'000, "piece"},
      put_answer{6, name, "not what it is called"},
      submit{7, sample_signed()},
      progress{7,
               sample_id(9),
               true,
               "check_failed",
               "b: no",
               42,
               digest::of("manifest"),
               "aborted",
               {{"b", node_outcome::refused, 9.1, 0.5, "no"},
                {"c", node_outcome::behind, 1.5, 2.5, "since 5 s"}}},
      query{8, "nodes"},
      query_answer{8, {sample_report()}, sample_position(), "a", "{}"},
      publish{{"news", "b", "hello"}},
      refused{9, "no_controller", "there is none"},
  };
}

std::string golden(std::string_view name, std::string_view bytes_now) {
  const auto file =
      std::filesystem::path(TROUPE_SOURCE_FOLDER) / "tests/cluster/golden" / std::string(name);
  // Read once, before anything else runs.
  if (std::getenv("TROUPE_WRITE_GOLDEN") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    tests::write_file(file, bytes_now);
  }
  return tests::read_file(file);
}

}  // namespace troupe::cluster
