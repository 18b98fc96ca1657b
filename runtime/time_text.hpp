// SPDX-License-Identifier: Apache-2.0
//
// Times as JSON and tables show them: "2026-01-02T03:04:05Z", in UTC.
//
// Source   RFC 3339.
// Thread   any.
// Called   by runtime/audit_log, runtime/admin_api.
#pragma once

#include <chrono>
#include <string>

namespace troupe {

/// To the second.
[[nodiscard]] std::string time_text(std::chrono::system_clock::time_point time);

}  // namespace troupe
