// SPDX-License-Identifier: Apache-2.0
#include "runtime/audit_log.hpp"

#include <chrono>

#include "runtime/json_text.hpp"
#include "runtime/time_text.hpp"

namespace troupe {

tl::expected<audit_log, diagnostic> audit_log::open(const std::string& data_folder) {
  auto file = log_file::open(data_folder + "/audit.log");
  if (!file) return tl::unexpected(file.error());
  return audit_log(std::move(*file));
}

void audit_log::write(std::string_view action, std::string_view subject, const change_author& by,
                      std::string_view result, const net::log_context& log) const {
  file_->write("{\"time\":" + json_string(time_text(std::chrono::system_clock::now())) +
               ",\"action\":" + json_string(action) + ",\"subject\":" + json_string(subject) +
               ",\"by\":" + json_string(by.name) + ",\"from\":" + json_string(by.origin) +
               ",\"result\":" + json_string(result) + "}\n");
  if (!log.enabled(net::log_level::notice)) return;
  std::string line(action);
  if (!subject.empty()) line += ' ' + std::string(subject);
  line += " by " + by.name + " (" + by.origin + "): ";
  line += result;
  log.write(net::log_level::notice, line);
}

}  // namespace troupe
