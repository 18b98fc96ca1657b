// SPDX-License-Identifier: Apache-2.0
#include "cluster/messages.hpp"

#include "cluster/order_fields.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr unsigned version = protocol_major << 8 | protocol_minor;

/// By the index of message.
constexpr std::array<std::string_view, std::variant_size_v<message>> types = {
    "announcement",   "beacon",         "welcome",       "topic_message",    "hello",
    "hello_answer",   "beat",           "fetch_changes", "changes",          "fetch_snapshot",
    "snapshot_piece", "fetch_blob",     "blob_piece",    "acknowledgements", "repeat",
    "missing_blobs",  "missing_answer", "put_blob",      "put_answer",       "submit",
    "progress",       "query",          "query_answer",  "publish",          "refused",
    "fetch_blobs",    "blob_pieces"};

// What a message may hold of each; all of it is within max_message_bytes anyway.
constexpr std::size_t max_name = order::max_name_bytes;
constexpr std::size_t max_words = 4096;        ///< A reason, a problem.
constexpr std::size_t max_piece = 512 * 1024;  ///< Of bytes that somebody else judges.
constexpr std::size_t max_apps = 1024;
constexpr std::size_t max_nodes = 20'000;
constexpr std::size_t max_list = 65'536;

// ---- parts

template <class Wire, like<change> Change>
void fields(Wire& wire, Change& what) {
  // As it was hashed.
  if constexpr (Wire::reads) {
    std::string bytes;
    wire.bytes("change", bytes, order::max_bytes + 1024);
    if (wire.failed()) return;
    auto decoded = change::decode(bytes);
    if (!decoded) return wire.fail("change");
    what = *std::move(decoded);
  } else {
    wire.bytes("change", what.encode());
  }
}

template <class Wire, like<sent_blob> Blob>
void fields(Wire& wire, Blob& blob) {
  wire.record("blob", 2, [&] {
    wire.name("name", blob.name);
    wire.bytes("compressed", blob.compressed, max_piece);
  });
}

template <class Wire, like<topic_message> Topic>
void topic_fields(Wire& wire, Topic& what) {
  wire.text("topic", what.topic, topic_message::max_topic_bytes);
  // It ends the topic of a frame: what came behind it would be taken for a message.
  if constexpr (Wire::reads) {
    if (what.topic.find('\0') != std::string::npos) wire.fail("topic");
  }
  wire.text("from", what.from, max_name);
  wire.bytes("payload", what.payload, topic_message::max_payload_bytes);
}

template <class Wire, like<node_report> Report>
void fields(Wire& wire, Report& who) {
  wire.record("who", 12, [&] {
    wire.text("name", who.name, max_name);
    wire.text("role", who.role, 16);
    wire.text("version", who.version, 64);
    wire.text("address", who.address, order::max_address_bytes);
    wire.text("serves", who.serves, 1024);
    label_fields(wire, "labels", who.labels);
    wire.place("at", who.at);
    wire.map("active", who.active, max_apps, max_name,
             [&](auto& release) { wire.number("active", release); });
    wire.text("problem", who.problem, max_words);
    wire.real("requests_per_second", who.requests_per_second);
    wire.real("errors_per_second", who.errors_per_second);
    wire.time("heard", who.heard);
  });
}

template <class Wire, like<acknowledgement> Ack>
void fields(Wire& wire, Ack& ack) {
  wire.record("acknowledgement", 6, [&] {
    wire.text("node", ack.node, max_name);
    wire.id("push", ack.push);
    wire.choice("step", ack.step, ack_step::applied);
    wire.number("seq", ack.seq);
    wire.text("reason", ack.reason, max_words);
    wire.real("took_ms", ack.took_ms);
  });
}

template <class Wire, like<node_progress> Node>
void fields(Wire& wire, Node& node) {
  wire.record("node", 5, [&] {
    wire.text("name", node.name, max_name);
    wire.choice("state", node.state, node_outcome::behind);
    wire.real("prepared_ms", node.prepared_ms);
    wire.real("active_ms", node.active_ms);
    wire.text("reason", node.reason, max_words);
  });
}

template <class Wire, like<fetch_blob> Question>
void blob_question_fields(Wire& wire, Question& m) {
  wire.number("ask", m.ask);
  wire.name("name", m.name);
  wire.number("offset", m.offset);
}

template <class Wire, like<blob_piece> Piece>
void piece_fields(Wire& wire, Piece& m) {
  wire.number("ask", m.ask);
  wire.name("name", m.name);
  wire.number("offset", m.offset);
  wire.number("total", m.total);
  wire.bytes("bytes", m.bytes, max_piece);
  wire.flag("gone", m.gone);
}

template <class Wire, class List>
void list_of(Wire& wire, std::string_view field, List& list, std::size_t max) {
  wire.list(field, list, max, [&](auto& each) { fields(wire, each); });
}

template <class Wire, class List>
void names(Wire& wire, List& list) {
  wire.list("names", list, max_list, [&](auto& each) { wire.name("names", each); });
}

// ---- messages: how many fields, and which

template <class Type>
constexpr std::uint32_t count_of = 0;

#define TROUPE_MESSAGE(type, count)               \
  template <>                                     \
  constexpr std::uint32_t count_of<type> = count; \
  template <class Wire, like<type> Message>       \
  void message_fields(Wire& wire, Message& m)

TROUPE_MESSAGE(announcement, 2) {
  fields(wire, m.what);
  list_of(wire, "blobs", m.blobs, max_list);
}
TROUPE_MESSAGE(beacon, 4) {
  wire.place("at", m.at);
  wire.time("time", m.time);
  wire.text("controller", m.controller, max_name);
  wire.bytes("signature", m.signature, 64);
}
TROUPE_MESSAGE(welcome, 1) {
  wire.place("at", m.at);
}
TROUPE_MESSAGE(topic_message, 3) {
  topic_fields(wire, m);
}
TROUPE_MESSAGE(hello, 2) {
  wire.number("ask", m.ask);
  fields(wire, m.who);
}
TROUPE_MESSAGE(hello_answer, 3) {
  wire.number("ask", m.ask);
  wire.place("at", m.at);
  wire.text("controller", m.controller, max_name);
}
TROUPE_MESSAGE(beat, 1) {
  list_of(wire, "nodes", m.nodes, max_nodes);
}
TROUPE_MESSAGE(fetch_changes, 2) {
  wire.number("ask", m.ask);
  wire.place("after", m.after);
}
TROUPE_MESSAGE(changes, 4) {
  wire.number("ask", m.ask);
  list_of(wire, "list", m.list, max_list);
  wire.place("head", m.head);
  wire.flag("need_snapshot", m.need_snapshot);
}
TROUPE_MESSAGE(fetch_snapshot, 3) {
  wire.number("ask", m.ask);
  wire.number("offset", m.offset);
  wire.name("of", m.of);
}
TROUPE_MESSAGE(snapshot_piece, 5) {
  wire.number("ask", m.ask);
  wire.name("of", m.of);
  wire.number("offset", m.offset);
  wire.number("total", m.total);
  wire.bytes("bytes", m.bytes, max_piece);
}
TROUPE_MESSAGE(fetch_blob, 3) {
  blob_question_fields(wire, m);
}
TROUPE_MESSAGE(blob_piece, 6) {
  piece_fields(wire, m);
}
TROUPE_MESSAGE(fetch_blobs, 1) {
  wire.list("list", m.list, fetch_blobs::max, [&](auto& each) {
    wire.record("list", 3, [&] { blob_question_fields(wire, each); });
  });
}
TROUPE_MESSAGE(blob_pieces, 1) {
  wire.list("list", m.list, fetch_blobs::max, [&](auto& each) {
    wire.record("list", 6, [&] { piece_fields(wire, each); });
  });
}
TROUPE_MESSAGE(acknowledgements, 1) {
  list_of(wire, "list", m.list, max_list);
}
TROUPE_MESSAGE(repeat, 1) {
  fields(wire, m.what);
}
TROUPE_MESSAGE(missing_blobs, 2) {
  wire.number("ask", m.ask);
  names(wire, m.names);
}
TROUPE_MESSAGE(missing_answer, 2) {
  wire.number("ask", m.ask);
  names(wire, m.names);
}
TROUPE_MESSAGE(put_blob, 5) {
  wire.number("ask", m.ask);
  wire.name("name", m.name);
  wire.number("offset", m.offset);
  wire.number("total", m.total);
  wire.bytes("bytes", m.bytes, max_piece);
}
TROUPE_MESSAGE(put_answer, 3) {
  wire.number("ask", m.ask);
  wire.name("name", m.name);
  wire.text("problem", m.problem, max_words);
}
TROUPE_MESSAGE(submit, 2) {
  wire.number("ask", m.ask);
  fields(wire, m.what);
}
TROUPE_MESSAGE(progress, 9) {
  wire.number("ask", m.ask);
  wire.id("id", m.id);
  wire.flag("done", m.done);
  wire.text("error", m.error, 64);
  wire.text("reason", m.reason, max_words);
  wire.number("release", m.release);
  wire.name("manifest", m.manifest);
  wire.text("state", m.state, 64);
  list_of(wire, "nodes", m.nodes, max_nodes);
}
TROUPE_MESSAGE(query, 2) {
  wire.number("ask", m.ask);
  wire.text("what", m.what, 1024);
}
TROUPE_MESSAGE(query_answer, 5) {
  wire.number("ask", m.ask);
  list_of(wire, "nodes", m.nodes, max_nodes);
  wire.place("head", m.head);
  wire.text("controller", m.controller, max_name);
  wire.text("text", m.text, max_message_bytes);
}
TROUPE_MESSAGE(publish, 3) {
  topic_fields(wire, m.what);
}
TROUPE_MESSAGE(refused, 3) {
  wire.number("ask", m.ask);
  wire.text("error", m.error, 64);
  wire.text("reason", m.reason, max_words);
}
#undef TROUPE_MESSAGE

template <std::size_t I = 0>
void make_message(std::size_t index, message& result) {
  if constexpr (I < std::variant_size_v<message>) {
    if (index == I) {
      result.emplace<I>();
    } else {
      make_message<I + 1>(index, result);
    }
  }
}

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 40));
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

std::string dotted(unsigned of) {
  return std::to_string(of >> 8) + '.' + std::to_string(of & 0xff);
}

tl::unexpected<refusal> refuse(refusal_errc errc, std::string reason) {
  return tl::unexpected(refusal{.errc = errc, .reason = std::move(reason), .file = {}});
}

}  // namespace

std::string beacon::signed_bytes() const {
  wire_writer wire;
  wire.record("beacon", 3, [&] {
    wire.place("at", at);
    wire.time("time", time);
    wire.text("controller", controller);
  });
  return std::move(wire.result());
}

std::string_view name_of(const message& what) noexcept {
  return types[what.index()];
}

std::string encode(const message& what) {
  wire_writer wire;
  std::visit(
      [&]<class Type>(const Type& one) {
        wire.array(2 + count_of<Type>);
        wire.number("version", version);
        wire.text("type", name_of(what));
        message_fields(wire, one);
      },
      what);
  return std::move(wire.result());
}

tl::expected<message, refusal> decode_message(std::string_view bytes) {
  if (bytes.size() > max_message_bytes) {
    return refuse(refusal_errc::too_large,
                  "a message of more than " + std::to_string(max_message_bytes) + " bytes");
  }
  wire_reader wire(bytes);
  const std::uint32_t count = wire.array("beginning");
  unsigned its_version = 0;
  wire.number("version", its_version, 0xffff);
  const std::string_view type = wire.text_view("type", 256);
  if (wire.failed()) {
    return refuse(refusal_errc::malformed,
                  "not a message: its " + std::string(wire.problem()) + " is wrong");
  }
  const auto at = std::ranges::find(types, type);
  if (its_version >> 8 != protocol_major || at == types.end()) {
    return refuse(refusal_errc::unsupported, "a message \"" + printable(type) + "\" of protocol " +
                                                 dotted(its_version) + ", which this troupe (" +
                                                 dotted(version) + ") does not know");
  }
  // Only a newer one has fields that we cannot know.
  wire.lenient(its_version > version);
  message result;
  make_message(static_cast<std::size_t>(at - types.begin()), result);
  std::visit(
      [&]<class Type>(Type& one) {
        const std::uint32_t expected = 2 + count_of<Type>;
        if (count < expected || (count > expected && its_version <= version)) {
          return wire.fail("number of fields");
        }
        message_fields(wire, one);
        for (std::uint32_t i = expected; i < count && !wire.failed(); ++i) wire.skip("end");
      },
      result);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  if (wire.failed()) {
    return refuse(refusal_errc::malformed, "not a message: \"" + std::string(type) + "\": its " +
                                               std::string(wire.problem()) + " is wrong");
  }
  return result;
}

}  // namespace troupe::cluster
