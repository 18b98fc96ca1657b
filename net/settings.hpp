// SPDX-License-Identifier: Apache-2.0
//
// What the configuration says about an exchange: plain values, one flat struct for each location,
// filled by runtime/conf/directives and never changed afterwards. A nested block starts as a copy of
// the block around it, which is how values are inherited.
//
// Source   ngx_http_core_module and ngx_lua's directives of the same names.
// Thread   any; constant once a release is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::net {

class complex_value;
class live_config;
class tls_client;
struct resolver_settings;
struct tls_client_settings;

using milliseconds = std::int64_t;  ///< A time of the configuration; -1: unlimited.

/// `error_page CODE … [=[RESPONSE]] URI;`
struct error_page {
  int status = 0;
  int overwrite = -1;  ///< -1: keep the status; 0: `=`, the status that the page itself gives.
  std::shared_ptr<const complex_value> target;  ///< URI, URL or @name.
};

using mime_types = std::unordered_map<std::string, std::string>;  ///< Extension -> type.

enum class keepalive_off { none, all };
enum class body_in_file { off, on, clean };
enum class satisfy_mode { all, any };
enum class lingering { off, on, always };
/// What becomes of an exchange under way when another release is put in.
enum class release_policy : std::uint8_t { next_request, keep, drain };

struct location_settings {
  // Limits and time-outs of requests.
  std::size_t client_header_buffer_size = 1024;
  std::size_t large_client_header_count = 4;
  std::size_t large_client_header_size = 8192;
  milliseconds client_header_timeout = 60'000;
  std::int64_t client_max_body_size = 1 << 20;  ///< 0: unlimited.
  std::size_t client_body_buffer_size = 16384;
  milliseconds client_body_timeout = 60'000;
  body_in_file client_body_in_file_only = body_in_file::off;
  bool client_body_in_single_buffer = false;
  std::string client_body_temp_path = "client_body_temp";
  bool ignore_invalid_headers = true;
  bool underscores_in_headers = false;
  bool merge_slashes = true;

  // The connection.
  milliseconds keepalive_timeout = 75'000;  ///< 0: no keep-alive.
  std::int64_t keepalive_header_timeout = 0;  ///< Seconds of `Keep-Alive: timeout=`; 0: none.
  std::int64_t keepalive_requests = 1000;
  milliseconds keepalive_time = 3'600'000;
  milliseconds send_timeout = 60'000;
  milliseconds lingering_time = 30'000;
  milliseconds lingering_timeout = 5'000;
  lingering lingering_close = lingering::on;
  bool tcp_nodelay = true;
  release_policy on_release = release_policy::next_request;
  milliseconds drain_time = 0;  ///< Of release_policy::drain.
  bool reset_timedout_connection = false;
  std::size_t postpone_output = 1460;
  bool chunked_transfer_encoding = true;

  // The response.
  std::string default_type = "text/plain";
  std::shared_ptr<const mime_types> types;
  std::string root;  ///< Absolute.
  bool root_is_alias = false;
  std::vector<std::string> index = {"index.html"};
  std::vector<error_page> error_pages;
  bool recursive_error_pages = false;
  bool server_tokens = true;
  bool etag = true;
  int if_modified_since = 1;  ///< 0 off, 1 exact, 2 before.
  bool msie_padding = true;
  bool log_not_found = true;
  bool log_subrequest = false;
  bool absolute_redirect = true;
  bool port_in_redirect = true;
  bool server_name_in_redirect = false;
  satisfy_mode satisfy = satisfy_mode::all;
  bool internal = false;

  // Lua.
  bool lua_code_cache = true;
  bool lua_need_request_body = false;
  bool lua_transform_underscores_in_response_headers = true;
  bool lua_http10_buffering = true;
  bool lua_check_client_abort = false;
  bool lua_use_default_type = true;
  bool lua_socket_log_errors = true;
  milliseconds lua_socket_connect_timeout = 60'000;
  milliseconds lua_socket_send_timeout = 60'000;
  milliseconds lua_socket_read_timeout = 60'000;
  milliseconds lua_socket_keepalive_timeout = 60'000;
  std::size_t lua_socket_buffer_size = 4096;
  std::size_t lua_socket_pool_size = 30;
  std::shared_ptr<const tls_client> lua_tls;              ///< Null: without settings of its own.
  std::shared_ptr<const tls_client_settings> lua_tls_settings;  ///< What lua_tls is made of.

  std::shared_ptr<const resolver_settings> resolver;      ///< Null: the system's.
  milliseconds resolver_timeout = 30'000;

  const live_config* config = nullptr;  ///< Of the node, which outlives all; null: none.
};

}  // namespace troupe::net
