// SPDX-License-Identifier: Apache-2.0
//
// What goes over the announcement socket: TOPIC NUL MESSAGE in one frame. CURVE encrypts each frame
// by itself, for each subscriber, so a frame for the topic would cost as much as that of the message.
// A subscription is TOPIC NUL: of that topic, and not of all that begin so.
//
// Source   docs/cluster.md, "Links".
// Called   by cluster/lower_sockets, cluster/upper_socket.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::cluster {

inline constexpr char topic_end = '\0';

struct topic_frame {
  std::string_view topic;
  std::string_view message;
};

[[nodiscard]] inline std::string subscription_of(std::string_view topic) {
  return std::string(topic) + topic_end;
}

/// The topic has no NUL in it.
[[nodiscard]] inline std::string frame_of(std::string_view topic, std::string_view message) {
  std::string result;
  result.reserve(topic.size() + 1 + message.size());
  result.append(topic).append(1, topic_end).append(message);
  return result;
}

/// Views into `frame`; none: it has no topic.
[[nodiscard]] inline std::optional<topic_frame> parse_topic_frame(std::string_view frame) {
  const auto end = frame.find(topic_end);
  if (end == std::string_view::npos) return std::nullopt;
  return topic_frame{frame.substr(0, end), frame.substr(end + 1)};
}

}  // namespace troupe::cluster
