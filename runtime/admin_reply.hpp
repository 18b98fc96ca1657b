// SPDX-License-Identifier: Apache-2.0
//
// Answers of the control socket: a JSON document, or a refusal.
//
// Source   docs/admin-api.md.
// Thread   any.
// Called   by runtime/admin_api and the files of its resources.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "runtime/admin_message.hpp"
#include "runtime/audit_log.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

[[nodiscard]] admin_response reply(const nlohmann::ordered_json& body, int status = 200);
/// A line of JSON. Texts of files and peers may be no UTF-8.
[[nodiscard]] std::string json_line(const nlohmann::ordered_json& body);
/// {"error":ERROR,"reason":REASON}
[[nodiscard]] admin_response refusal(int status, std::string_view error, std::string_view reason,
                                     std::string_view hint = {});
/// The disk has said no.
[[nodiscard]] admin_response storage_failed(const diagnostic& problem);
/// Who asks: as the client says, and as the socket knows.
[[nodiscard]] change_author author_of(const admin_request& asked);

}  // namespace troupe
