// SPDX-License-Identifier: Apache-2.0
//
// The areas of the API, one a file. A new area is declared here and listed in lua/api_registry.cpp.
#pragma once

#include "lua/api_registry.hpp"

namespace troupe::lua {

extern const api_area actor_area;
extern const api_area core_area;
extern const api_area value_text_area;
extern const api_area const_area;
extern const api_area coroutine_area;
extern const api_area log_area;
extern const api_area time_area;
extern const api_area timer_area;
extern const api_area capture_area;
extern const api_area cluster_area;
extern const api_area codec_area;
extern const api_area config_area;
extern const api_area digest_area;
extern const api_area ndk_area;
extern const api_area pipe_area;
extern const api_area process_area;
extern const api_area re_area;
extern const api_area require_area;
extern const api_area semaphore_area;
extern const api_area shdict_area;
extern const api_area socket_tcp_area;
extern const api_area socket_udp_area;
extern const api_area ssl_area;
extern const api_area worker_thread_area;
extern const api_area output_area;
extern const api_area control_area;
extern const api_area request_area;
extern const api_area header_area;
extern const api_area var_area;
extern const api_area ctx_area;

}  // namespace troupe::lua
