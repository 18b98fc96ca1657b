// SPDX-License-Identifier: Apache-2.0
#include "net/http_date.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace troupe::net {
namespace {

constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::tm split(std::int64_t seconds) {
  std::tm parts{};
  const auto time = static_cast<std::time_t>(seconds);
  ::gmtime_r(&time, &parts);
  return parts;
}

/// Takes digits off the front; -1 if there are fewer than `least`.
int take_number(std::string_view& text, int least, int most) {
  int n = 0;
  int count = 0;
  while (count < most && !text.empty() && text.front() >= '0' && text.front() <= '9') {
    n = n * 10 + (text.front() - '0');
    text.remove_prefix(1);
    ++count;
  }
  return count < least ? -1 : n;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

int take_month(std::string_view& text) {
  for (std::size_t i = 0; i < months.size(); ++i) {
    if (text.starts_with(months[i])) {
      text.remove_prefix(3);
      return static_cast<int>(i);
    }
  }
  return -1;
}

bool take_time(std::string_view& text, std::tm& parts) {
  parts.tm_hour = take_number(text, 2, 2);
  if (!take(text, ':')) return false;
  parts.tm_min = take_number(text, 2, 2);
  if (!take(text, ':')) return false;
  parts.tm_sec = take_number(text, 2, 2);
  return parts.tm_hour >= 0 && parts.tm_hour < 24 && parts.tm_min >= 0 && parts.tm_min < 60 &&
         parts.tm_sec >= 0 && parts.tm_sec < 60;
}

}  // namespace

std::string format_http_date(std::int64_t seconds) {
  const std::tm t = split(seconds);
  char text[48];
  const int size = std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT",
                                 days[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                                 months[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900,
                                 t.tm_hour, t.tm_min, t.tm_sec);
  return {text, static_cast<std::size_t>(size)};
}

std::string format_cookie_date(std::int64_t seconds) {
  const std::tm t = split(seconds);
  const int year = t.tm_year + 1900;
  char text[48];
  const int size = std::snprintf(text, sizeof text,
                                 year > 2037 ? "%s, %02d-%s-%04d %02d:%02d:%02d GMT"
                                             : "%s, %02d-%s-%02d %02d:%02d:%02d GMT",
                                 days[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                                 months[static_cast<std::size_t>(t.tm_mon)],
                                 year > 2037 ? year : year % 100, t.tm_hour, t.tm_min, t.tm_sec);
  return {text, static_cast<std::size_t>(size)};
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::tm t{};
  const auto comma = text.find(',');
  if (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    while (take(text, ' ')) {
    }
    t.tm_mday = take_number(text, 1, 2);
    const bool rfc850 = !text.empty() && text.front() == '-';
    const char separator = rfc850 ? '-' : ' ';
    if (!take(text, separator)) return std::nullopt;
    t.tm_mon = take_month(text);
    if (t.tm_mon < 0 || !take(text, separator)) return std::nullopt;
    int year = rfc850 ? take_number(text, 2, 4) : take_number(text, 4, 4);
    if (year < 0) return std::nullopt;
    if (rfc850 && year < 100) year += year < 70 ? 2000 : 1900;
    t.tm_year = year - 1900;
    if (!take(text, ' ') || !take_time(text, t)) return std::nullopt;
    // As in nginx the zone is not read: HTTP has but one.
  } else {  // Sun Nov  6 08:49:37 1994
    if (text.size() < 24) return std::nullopt;
    text.remove_prefix(4);
    t.tm_mon = take_month(text);
    if (t.tm_mon < 0 || !take(text, ' ')) return std::nullopt;
    take(text, ' ');
    t.tm_mday = take_number(text, 1, 2);
    if (!take(text, ' ') || !take_time(text, t) || !take(text, ' ')) return std::nullopt;
    const int year = take_number(text, 4, 4);
    if (year < 0) return std::nullopt;
    t.tm_year = year - 1900;
  }
  if (t.tm_mday < 1 || t.tm_mday > 31) return std::nullopt;
  const std::tm asked = t;
  const std::time_t seconds = ::timegm(&t);
  if (t.tm_mday != asked.tm_mday) return std::nullopt;  // 31 February.
  return static_cast<std::int64_t>(seconds);
}

}  // namespace troupe::net
