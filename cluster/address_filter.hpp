// SPDX-License-Identifier: Apache-2.0
//
// Whose attempts to connect the kernel drops before anybody hears of them. To accept a connection and
// cut it costs some 50 µs on three threads; a packet that a socket's filter drops costs nothing that
// can be measured.
//
// Source   socket(7), SO_ATTACH_FILTER; Documentation/networking/filter.rst of Linux.
// Thread   any.
// Errors   false: the kernel did not take it; what was there before stays.
// Called   by cluster/lower_sockets.
#pragma once

#include <string>
#include <vector>

namespace troupe::cluster {

inline constexpr std::size_t max_filtered_addresses = 256;

/// From now on this listening socket hears nothing from these (as cluster/gate names them: an IPv6
/// address stands for its upper half) and everything from others; none: from everybody. Connections
/// that are open already go on.
bool hear_nothing_from(int listener, const std::vector<std::string>& addresses);

}  // namespace troupe::cluster
