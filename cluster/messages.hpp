// SPDX-License-Identifier: Apache-2.0
//
// What nodes say to each other. A message is one msgpack array: [version, type, field…], the
// version major * 256 + minor, the type its name. A newer minor version may append fields to a
// message or to a record in it, which an older one skips; a type that a node does not know, and
// another major version, are refused by name.
//
// Announced by a controller, handed on by relays: announcement, beacon, topic_message, welcome. All
// else are requests of a node to its upper one (controller or relay) and their answers; `ask` ties
// an answer to its request and is chosen by who asks; 0 where no answer is expected.
//
// Source   docs/cluster.md, "Messages", has the fields; tests/cluster/golden/ has the bytes.
// Thread   any; values.
// Errors   decode() takes bytes of strangers: bounded in count, length and depth before it
// allocates;
//          `malformed` names message and field, `unsupported` the version or type.
// Called   by cluster/controller, cluster/follower, cluster/relay, cluster/links.
#pragma once

#include "cluster/change.hpp"

#include <map>
#include <variant>
#include <vector>

namespace troupe::cluster {

inline constexpr unsigned protocol_major = 1;
inline constexpr unsigned protocol_minor = 0;

/// A longer one is refused before it is looked at.
inline constexpr std::size_t max_message_bytes = 1024 * 1024;
/// A content as it travels: a piece of its zstd frame.
inline constexpr std::size_t blob_piece_bytes = 256 * 1024;
/// What goes along with an announcement, at most: 64 KB that do not compress, and their manifest.
inline constexpr std::size_t inline_blob_bytes = 72 * 1024;

struct sent_blob {
  digest name;
  std::string compressed;  ///< The whole, zstd.
  bool operator==(const sent_blob&) const = default;
};

// ---- announced
struct announcement {
  change what;
  std::vector<sent_blob> blobs;
  bool operator==(const announcement&) const = default;
};
struct beacon {
  static constexpr std::string_view context = "troupe beacon 1";  ///< Of its signature.
  position at;
  wall_time time;
  std::string controller;  ///< Its name.
  std::string signature;   ///< Of signed_bytes() by the controller; empty without keys.
  [[nodiscard]] std::string signed_bytes() const;
  bool operator==(const beacon&) const = default;
};
struct welcome {  ///< On `node/NAME`, when that subscription came.
  position at;
  bool operator==(const welcome&) const = default;
};
struct topic_message {  ///< An app's own; best effort.
  static constexpr std::size_t max_topic_bytes = 255;
  static constexpr std::size_t max_payload_bytes = 32 * 1024;
  std::string topic;
  std::string from;
  std::string payload;
  bool operator==(const topic_message&) const = default;
};

// ---- a node to its upper one
struct node_report {  ///< Who a node is and how it does.
  std::string name;
  std::string role;  ///< node, controller, relay.
  std::string version;
  std::string address;  ///< Where it binds; empty: nowhere.
  std::string serves;   ///< Its first listener's URL, for people.
  label_map labels;
  position at;
  std::map<std::string, std::uint32_t> active;  ///< Release by app.
  std::string problem;                          ///< Why it is behind; empty.
  double requests_per_second = 0;
  double errors_per_second = 0;
  wall_time heard;  ///< Set by who keeps it, for lists.
  bool operator==(const node_report&) const = default;
};
struct hello {
  std::uint64_t ask = 0;
  node_report who;
  bool operator==(const hello&) const = default;
};
struct hello_answer {
  std::uint64_t ask = 0;
  position at;
  std::string controller;
  bool operator==(const hello_answer&) const = default;
};
struct beat {  ///< The answer to a beacon; a relay sends those of its nodes.
  std::vector<node_report> nodes;
  bool operator==(const beat&) const = default;
};
struct fetch_changes {
  std::uint64_t ask = 0;
  position after;
  bool operator==(const fetch_changes&) const = default;
};
struct changes {
  std::uint64_t ask = 0;
  std::vector<change> list;
  position head;
  bool need_snapshot = false;  ///< `after` is cut away or of another history.
  bool operator==(const changes&) const = default;
};
struct fetch_snapshot {
  std::uint64_t ask = 0;
  std::uint64_t offset = 0;
  digest of;  ///< Of a piece that is not the first: the snapshot begun; zeros: the newest.
  bool operator==(const fetch_snapshot&) const = default;
};
struct snapshot_piece {
  std::uint64_t ask = 0;
  digest of;  ///< The whole's.
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  std::string bytes;  ///< zstd; the whole is one frame.
  bool operator==(const snapshot_piece&) const = default;
};
struct fetch_blob {
  std::uint64_t ask = 0;
  digest name;
  std::uint64_t offset = 0;  ///< In the compressed form.
  bool operator==(const fetch_blob&) const = default;
};
struct blob_piece {
  std::uint64_t ask = 0;
  digest name;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;  ///< Compressed.
  std::string bytes;
  bool gone = false;  ///< Nobody refers to it any more, or it never was.
  bool operator==(const blob_piece&) const = default;
};
/// Several at once: a message costs more than the few kilobytes of most files.
struct fetch_blobs {
  static constexpr std::size_t max = 256;
  std::vector<fetch_blob> list;
  bool operator==(const fetch_blobs&) const = default;
};
struct blob_pieces {
  std::vector<blob_piece> list;
  bool operator==(const blob_pieces&) const = default;
};
enum class ack_step : std::uint8_t { ready = 1, refused, active, applied };
struct acknowledgement {
  std::string node;
  order_id push{};
  ack_step step = ack_step::ready;
  std::uint64_t seq = 0;  ///< Of the change it answers.
  std::string reason;
  double took_ms = 0;  ///< Prepare, or the swap.
  bool operator==(const acknowledgement&) const = default;
};
struct acknowledgements {
  std::vector<acknowledgement> list;
  bool operator==(const acknowledgements&) const = default;
};
struct repeat {  ///< Down: what a node has not acknowledged in time, to it alone.
  change what;
  bool operator==(const repeat&) const = default;
};

// ---- whoever orders, to any node, handed up to the controller
struct missing_blobs {
  std::uint64_t ask = 0;
  std::vector<digest> names;
  bool operator==(const missing_blobs&) const = default;
};
struct missing_answer {
  std::uint64_t ask = 0;
  std::vector<digest> names;  ///< Those that the controller lacks.
  bool operator==(const missing_answer&) const = default;
};
struct put_blob {
  std::uint64_t ask = 0;
  digest name;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  std::string bytes;
  bool operator==(const put_blob&) const = default;
};
struct put_answer {
  std::uint64_t ask = 0;
  digest name;
  std::string problem;  ///< Empty: the piece (the last: the whole, verified) is there.
  bool operator==(const put_answer&) const = default;
};
struct submit {
  std::uint64_t ask = 0;
  signed_order what;
  bool operator==(const submit&) const = default;
};
enum class node_outcome : std::uint8_t { waiting = 1, ready, active, refused, unreachable, behind };
struct node_progress {
  std::string name;
  node_outcome state = node_outcome::waiting;
  double prepared_ms = 0;  ///< Since the announcement, by the controller's clock.
  double active_ms = 0;
  std::string reason;
  bool operator==(const node_progress&) const = default;
};
/// How an order goes: sent again as it goes on, `done` with the last one.
struct progress {
  std::uint64_t ask = 0;
  order_id id{};
  bool done = false;
  std::string error;   ///< JSON's name: "check_failed", "overtaken", "denied", "no_controller" …
  std::string reason;  ///< In words.
  std::uint32_t release = 0;
  digest manifest;
  std::string
      state;  ///< preparing, canary, active, aborted, partial; applied (config and the like).
  std::vector<node_progress> nodes;
  bool operator==(const progress&) const = default;
};
struct query {  ///< Lists for people: "nodes", "status".
  std::uint64_t ask = 0;
  std::string what;
  bool operator==(const query&) const = default;
};
struct query_answer {
  std::uint64_t ask = 0;
  std::vector<node_report> nodes;
  position head;
  std::string controller;
  std::string text;  ///< JSON of what else there is.
  bool operator==(const query_answer&) const = default;
};
struct publish {
  topic_message what;
  bool operator==(const publish&) const = default;
};
struct refused {  ///< The answer to what cannot be answered.
  std::uint64_t ask = 0;
  std::string error;
  std::string reason;
  bool operator==(const refused&) const = default;
};

using message =
    std::variant<announcement, beacon, welcome, topic_message, hello, hello_answer, beat,
                 fetch_changes, changes, fetch_snapshot, snapshot_piece, fetch_blob, blob_piece,
                 acknowledgements, repeat, missing_blobs, missing_answer, put_blob, put_answer,
                 submit, progress, query, query_answer, publish, refused, fetch_blobs,
                 blob_pieces>;

[[nodiscard]] std::string encode(const message& what);
[[nodiscard]] tl::expected<message, refusal> decode_message(std::string_view bytes);
/// "fetch_blob": for logs.
[[nodiscard]] std::string_view name_of(const message& what) noexcept;

}  // namespace troupe::cluster
